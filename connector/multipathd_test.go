// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// serveMultipathd answers commands at a socket as multipathd does (libmpathcmd of
// multipath-tools: a length in the machine's own order, the text, and a NUL), until
// the test ends.
func serveMultipathd(t testing.TB, socket string, answer func(command string) string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answerOne(conn, answer)
		}
	})
	t.Cleanup(func() {
		listener.Close()
		served.Wait()
	})
}

func answerOne(conn net.Conn, answer func(command string) string) {
	defer conn.Close()
	var length uint64
	if binary.Read(conn, binary.NativeEndian, &length) != nil {
		return
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(conn, text); err != nil {
		return
	}
	reply := answer(strings.TrimRight(string(text), "\x00"))
	conn.Write(append(binary.NativeEndian.AppendUint64(nil, uint64(len(reply))), reply...))
}
