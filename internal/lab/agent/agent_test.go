// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/lab/agent"
)

func serve(t *testing.T) agent.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go agent.Serve(listener)
	return agent.Client{Address: listener.Addr().String()}
}

func TestRun(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 100_000)
	for _, test := range []struct {
		name           string
		command        agent.Command
		stdin          string
		stdout, stderr string
		exit           agent.Exit
	}{
		{
			name:    "output and error apart",
			command: agent.Command{Argv: []string{"sh", "-c", "echo out; echo err >&2"}},
			stdout:  "out\n", stderr: "err\n",
		},
		{
			name:    "more than a pipe holds",
			command: agent.Command{Argv: []string{"cat"}},
			stdin:   big, stdout: big,
		},
		{
			name:    "input that nobody reads",
			command: agent.Command{Argv: []string{"true"}},
			stdin:   big,
		},
		{
			name:    "environment and directory",
			command: agent.Command{Argv: []string{"sh", "-c", "echo $A; pwd"}, Env: []string{"A=b c"}, Dir: "/"},
			stdout:  "b c\n/\n",
		},
		{
			name:    "no shell",
			command: agent.Command{Argv: []string{"echo", "$HOME; `x` *"}},
			stdout:  "$HOME; `x` *\n",
		},
		{
			name:    "exit code",
			command: agent.Command{Argv: []string{"sh", "-c", "exit 7"}},
			exit:    agent.Exit{Code: 7},
		},
		{
			name:    "death by signal",
			command: agent.Command{Argv: []string{"sh", "-c", "kill -KILL $$"}},
			exit:    agent.Exit{Code: 137, Signal: unix.SIGKILL},
		},
		{
			name:    "a daemon that keeps the output open",
			command: agent.Command{Argv: []string{"sh", "-c", "sleep 5 & echo started"}},
			stdout:  "started\n",
		},
		{
			name:    "terminal",
			command: agent.Command{Argv: []string{"sh", "-c", "stty size; read x; echo got $x"}, TTY: &agent.Size{Rows: 5, Columns: 77}},
			stdin:   "line\n", stdout: "5 77\r\nline\r\ngot line\r\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			exit, err := serve(t).Run(t.Context(), test.command, strings.NewReader(test.stdin), &stdout, &stderr)
			if err != nil {
				t.Fatal(err)
			}
			if exit != test.exit {
				t.Errorf("exit is %+v, want %+v", exit, test.exit)
			}
			got := strings.ReplaceAll(stdout.String(), "^D\b\b", "") // the terminal's echo
			if test.command.TTY != nil {
				got, test.stdout = sortLines(got), sortLines(test.stdout) // echo may come first
			}
			if got != test.stdout {
				t.Errorf("stdout is %.100q, want %.100q", got, test.stdout)
			}
			if stderr.String() != test.stderr {
				t.Errorf("stderr is %.100q, want %.100q", &stderr, test.stderr)
			}
		})
	}
}

func TestRunFailsToStart(t *testing.T) {
	client := serve(t)
	for _, argv := range [][]string{nil, {"/no/such/program"}} {
		if _, err := client.Run(t.Context(), agent.Command{Argv: argv}, nil, nil, nil); err == nil {
			t.Errorf("%q was started", argv)
		}
	}
}

// A command, and its children, must not outlive the caller's interest, even
// when they take no input and the caller has much.
func TestRunIsKilledWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pids := make(chan int, 1)
	output := writer(func(p []byte) {
		pid, _ := strconv.Atoi(strings.TrimSpace(string(p)))
		pids <- pid
		cancel()
	})
	input := strings.NewReader(strings.Repeat("x", 1<<20))
	command := agent.Command{Argv: []string{"sh", "-c", "sleep 60 & echo $!; wait"}}
	if _, err := serve(t).Run(ctx, command, input, output, output); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	awaitDeath(t, <-pids)
}

func TestService(t *testing.T) {
	client := serve(t)
	log := filepath.Join(t.TempDir(), "log")
	var pids []int
	for range 2 {
		pid, err := client.Start(t.Context(), agent.Command{Argv: []string{"sh", "-c", "echo out; echo err >&2; exec sleep 60"}}, log)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}

	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := client.Wait(short, pids[0]); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a service that runs: %v", err)
	}
	awaitContents(t, log, 2*len("out\nerr\n"))
	for _, pid := range pids {
		if err := client.Signal(t.Context(), pid, unix.SIGTERM); err != nil {
			t.Error(err)
		}
		want := agent.Exit{Code: 143, Signal: unix.SIGTERM}
		if exit, err := client.Wait(t.Context(), pid); err != nil || exit != want {
			t.Errorf("exit is %+v, %v, want %+v", exit, err, want)
		}
	}
	if err := client.Signal(t.Context(), pids[0], unix.SIGTERM); err == nil {
		t.Error("a service that has ended was signalled")
	}
	if err := client.Signal(t.Context(), 1, 0); err == nil {
		t.Error("a process that is no service was signalled")
	}
}

func TestFiles(t *testing.T) {
	client := serve(t)
	path := filepath.Join(t.TempDir(), "new", "file")
	want := bytes.Repeat([]byte{0, 1, 2}, 1<<20)
	if err := client.WriteFile(t.Context(), path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := client.ReadFile(t.Context(), path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("file is %v, %v", info, err)
	}
	if _, err := client.ReadFile(t.Context(), path+"x"); err == nil {
		t.Error("a missing file was read")
	}
}
