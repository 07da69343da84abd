// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	if len(p) > 0 {
		w(p)
	}
	return len(p), nil
}

// awaitDeath waits until a process is gone or a zombie, which an orphan stays
// where nobody reaps.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
	if err != nil || n != 1 {
		t.Errorf("process %d lives: %v", pid, err)
	}
}

// awaitContents waits until a file that other processes write is complete.
func awaitContents(t *testing.T, path string, size int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		text, err := os.ReadFile(path)
		if err == nil && len(text) == size {
			return
		}
		<-tick.C
	}
	t.Errorf("%s has not grown to %d bytes", path, size)
}

func sortLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
