// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Client talks to the agent of one machine. It holds no connection and may be
// used by many goroutines. Every method ends when its context does, with the
// context's error as the cause.
type Client struct {
	Address string // address:port of the agent
}

// Run runs a command and copies its output while it runs. When ctx ends, the
// command's process group is killed. stdin may be nil. Run returns when the
// command has ended, without waiting for a Read of stdin that is under way.
func (c Client) Run(ctx context.Context, cmd Command, stdin io.Reader, stdout, stderr io.Writer) (Exit, error) {
	last, err := c.do(ctx, request{Op: opRun, Command: cmd}, stdin, stdout, stderr)
	return last.Exit, err
}

// Start starts a service and returns its PID. Its output is appended to the
// file log in the machine.
func (c Client) Start(ctx context.Context, cmd Command, log string) (int, error) {
	last, err := c.do(ctx, request{Op: opStart, Command: cmd, Log: log}, nil, nil, nil)
	return last.PID, err
}

// Wait waits for a service to end.
func (c Client) Wait(ctx context.Context, pid int) (Exit, error) {
	last, err := c.do(ctx, request{Op: opWait, PID: pid}, nil, nil, nil)
	return last.Exit, err
}

// Signal sends a signal to a service (not to its children).
func (c Client) Signal(ctx context.Context, pid int, signal unix.Signal) error {
	_, err := c.do(ctx, request{Op: opSignal, PID: pid, Signal: signal}, nil, nil, nil)
	return err
}

// ReadFile returns a file's contents.
func (c Client) ReadFile(ctx context.Context, path string) ([]byte, error) {
	last, err := c.do(ctx, request{Op: opReadFile, Path: path}, nil, nil, nil)
	return last.Data, err
}

// WriteFile writes a file, in place as sysfs and configfs want it, and creates
// it and its directory when they are missing.
func (c Client) WriteFile(ctx context.Context, path string, data []byte, mode fs.FileMode) error {
	_, err := c.do(ctx, request{Op: opWriteFile, Path: path, Data: data, Mode: mode}, nil, nil, nil)
	return err
}

func (c Client) do(ctx context.Context, req request, stdin io.Reader, stdout, stderr io.Writer) (reply, error) {
	dialer := net.Dialer{
		Timeout: 5 * time.Second,
		// A machine that died sends no RST. It is given half a minute,
		// since all machines may share one slow CPU.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 5},
	}
	conn, err := dialer.DialContext(ctx, "tcp", c.Address)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return reply{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	last, err := exchange(conn, req, stdin, stdout, stderr)
	if ctx.Err() != nil {
		return reply{}, context.Cause(ctx)
	}
	return last, err
}

func exchange(conn io.ReadWriter, req request, stdin io.Reader, stdout, stderr io.Writer) (reply, error) {
	encoder, decoder := gob.NewEncoder(conn), gob.NewDecoder(conn)
	if err := encoder.Encode(req); err != nil {
		return reply{}, err
	}
	if req.Op == opRun {
		go sendInput(encoder, stdin)
	}
	for {
		var r reply
		if err := decoder.Decode(&r); err != nil {
			return reply{}, fmt.Errorf("connection to the agent lost: %w", err)
		}
		if r.Err != "" {
			return reply{}, errors.New(r.Err)
		}
		if r.Done {
			return r, nil
		}
		if _, err := stdout.Write(r.Stdout); err != nil {
			return reply{}, err
		}
		if _, err := stderr.Write(r.Stderr); err != nil {
			return reply{}, err
		}
	}
}

// sendInput ends when the connection is closed or stdin has ended. Errors of
// the connection are the reader's to report.
func sendInput(encoder *gob.Encoder, stdin io.Reader) {
	if stdin != nil {
		buffer := make([]byte, chunk)
		for {
			n, err := stdin.Read(buffer)
			if n > 0 && encoder.Encode(input{Data: buffer[:n]}) != nil {
				return
			}
			if err != nil {
				break
			}
		}
	}
	_ = encoder.Encode(input{EOF: true})
}
