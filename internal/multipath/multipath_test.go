// SPDX-License-Identifier: Apache-2.0

package multipath_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/multipath"
)

// multipathd listens as multipathd does and answers each command with what reply
// returns; it hangs up without an answer where that is nil. It returns a client
// and the commands it was sent.
func multipathd(t *testing.T, reply func(command string) []byte) (multipath.Client, func() []string) {
	t.Helper()
	client := multipath.Client{Socket: filepath.Join(t.TempDir(), "socket")}
	listener, err := net.Listen("unix", client.Socket)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var commands []string
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer conn.Close()
				var length uint64
				if binary.Read(conn, binary.NativeEndian, &length) != nil {
					return
				}
				text := make([]byte, length)
				if _, err := io.ReadFull(conn, text); err != nil || text[length-1] != 0 {
					t.Errorf("command %q: %v", text, err)
					return
				}
				command := string(text[:length-1])
				mu.Lock()
				commands = append(commands, command)
				mu.Unlock()
				conn.Write(reply(command))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		served.Wait()
	})
	return client, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return commands
	}
}

// message is a text as multipathd sends it.
func message(text string) []byte {
	return append(binary.NativeEndian.AppendUint64(nil, uint64(len(text)+1)), text+"\x00"...)
}

func TestCommands(t *testing.T) {
	for _, test := range []struct {
		want string
		call func(context.Context, multipath.Client) error
	}{
		{"add path sdb", func(ctx context.Context, c multipath.Client) error { return c.AddPath(ctx, "sdb") }},
		{"del path sdb", func(ctx context.Context, c multipath.Client) error { return c.RemovePath(ctx, "sdb") }},
		{"resize map dm-0", func(ctx context.Context, c multipath.Client) error { return c.ResizeMap(ctx, "dm-0") }},
		{"remove map dm-0", func(ctx context.Context, c multipath.Client) error { return c.RemoveMap(ctx, "dm-0") }},
		{"disablequeueing map dm-0", func(ctx context.Context, c multipath.Client) error { return c.DisableQueueing(ctx, "dm-0") }},
		{"reconfigure", func(ctx context.Context, c multipath.Client) error { return c.Reconfigure(ctx) }},
	} {
		t.Run(test.want, func(t *testing.T) {
			answer := "ok\n"
			client, commands := multipathd(t, func(string) []byte { return message(answer) })
			if err := test.call(t.Context(), client); err != nil {
				t.Errorf("told ok: %v", err)
			}
			for _, answer = range []string{"fail\n", "timeout\n", "fail\nmap in use\n", ""} {
				err := test.call(t.Context(), client)
				if !errors.Is(err, multipath.ErrFailed) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("told %q: error %v, want a refusal that names the command", answer, err)
				}
			}
			for _, got := range commands() {
				if got != test.want {
					t.Errorf("sent %q, want %q", got, test.want)
				}
			}
		})
	}
}

func TestMaps(t *testing.T) {
	reply, err := os.ReadFile("testdata/maps-0.9.4.json")
	if err != nil {
		t.Fatal(err)
	}
	client, commands := multipathd(t, func(string) []byte { return message(string(reply)) })
	maps, err := client.Maps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(maps) != 1 || maps[0].Device != "dm-0" || len(maps[0].Paths) != 4 {
		t.Errorf("maps %+v", maps)
	}
	if got := commands(); len(got) != 1 || got[0] != "show maps json" {
		t.Errorf("sent %q", got)
	}
}

func TestMultipathdThatDoesNotRun(t *testing.T) {
	client := multipath.Client{Socket: filepath.Join(t.TempDir(), "socket")}
	if _, err := client.Maps(t.Context()); !errors.Is(err, multipath.ErrNotRunning) {
		t.Errorf("error %v, want ErrNotRunning", err)
	}
	if err := client.Reconfigure(t.Context()); !errors.Is(err, multipath.ErrNotRunning) {
		t.Errorf("error %v, want ErrNotRunning", err)
	}
}

func TestBrokenReplies(t *testing.T) {
	long := binary.NativeEndian.AppendUint64(nil, 1<<62)
	for _, test := range []struct {
		name  string
		reply []byte
		want  string
	}{
		{"none", nil, "EOF"},
		{"half a length", make([]byte, 3), "unexpected EOF"},
		{"half a text", message("ok\n")[:9], "unexpected EOF"},
		{"a length beyond reason", long, "too long"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := multipathd(t, func(string) []byte { return test.reply })
			_, err := client.Command(t.Context(), "show status")
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `"show status"`) {
				t.Errorf("error %v, want one about %q that names the command", err, test.want)
			}
			if errors.Is(err, multipath.ErrNotRunning) {
				t.Errorf("error %v says that multipathd does not run", err)
			}
		})
	}
}

func TestASilentMultipathdIsGivenUp(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(context.Context) (context.Context, context.CancelFunc)
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}},
		{"cancel", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			silent := make(chan struct{})
			client, _ := multipathd(t, func(string) []byte { <-silent; return nil })
			defer close(silent)
			ctx, cancel := test.end(t.Context())
			defer cancel()
			start := time.Now()
			_, err := client.Command(ctx, "show status")
			if !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
				t.Errorf("error %v, want that of the context, %v", err, ctx.Err())
			}
			if time.Since(start) > multipath.DefaultTimeout/2 {
				t.Error("waited longer than the caller wanted")
			}
		})
	}
}
