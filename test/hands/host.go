// SPDX-License-Identifier: Apache-2.0

package hands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

// Program is the name that Build's executable must have in the machines.
const Program = "inside"

// Build builds the program test/inside, static, as file: give it to
// lab.Options.Binaries under the name Program.
func Build(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", file, "github.com/mallee-io/mallee/test/inside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build test/inside: %w: %s", err, out)
	}
	return nil
}

// Hands is a role that runs in a machine. Its methods may be called concurrently.
type Hands struct {
	name  string
	stdin *io.PipeWriter
	ended chan struct{} // closed when the program has ended, with err

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	err     error
}

// Start starts a role of the program in m. What it writes to stderr goes to log.
// It ends by Close, or with the machine.
func Start(m *lab.Machine, role string, log io.Writer) *Hands {
	return StartProgram(m, log, Program, role)
}

// StartProgram is Start for another program that speaks as a role does.
func StartProgram(m *lab.Machine, log io.Writer, argv ...string) *Hands {
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	h := &Hands{name: m.Spec.Name + ": " + strings.Join(argv, " "), stdin: stdin, ended: make(chan struct{}), waiting: map[int]chan answer{}}
	go func() {
		code, err := m.Stream(context.Background(), argv, nil, in, out, log)
		if err == nil {
			err = fmt.Errorf("%s has ended with code %d", h.name, code)
		}
		in.CloseWithError(err)
		out.CloseWithError(err)
	}()
	go func() {
		err := h.receive(stdout)
		stdout.CloseWithError(err)
		h.mu.Lock()
		h.err = err
		h.mu.Unlock()
		close(h.ended)
	}()
	return h
}

func (h *Hands) receive(stdout io.Reader) error {
	decoder := json.NewDecoder(stdout)
	for {
		var a answer
		if err := decoder.Decode(&a); err != nil {
			return err
		}
		h.mu.Lock()
		waiting := h.waiting[a.ID]
		delete(h.waiting, a.ID)
		h.mu.Unlock()
		if waiting != nil {
			waiting <- a
		}
	}
}

// Call has one operation carried out and puts its result, if there is one, into
// result, which may be nil: beside an error, too. The operation sees ctx's deadline.
func (h *Hands) Call(ctx context.Context, op string, args, result any) error {
	if err := h.call(ctx, op, args, result); err != nil {
		return fmt.Errorf("%s: %s: %w", h.name, op, err)
	}
	return nil
}

func (h *Hands) call(ctx context.Context, op string, args, result any) error {
	text, err := json.Marshal(args)
	if err != nil {
		return err
	}
	r := request{Op: op, Args: text}
	if deadline, ok := ctx.Deadline(); ok {
		r.Timeout = max(time.Until(deadline), time.Nanosecond)
	}
	done := make(chan answer, 1)
	h.mu.Lock()
	h.last++
	r.ID = h.last
	h.waiting[r.ID] = done
	line, err := json.Marshal(r)
	if err == nil {
		_, err = h.stdin.Write(append(line, '\n'))
	}
	if err != nil {
		delete(h.waiting, r.ID)
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		// It sees the same deadline, and its own reason is worth more than ours.
		select {
		case a := <-done:
			return a.read(result)
		case <-time.After(2 * time.Second):
		}
		return context.Cause(ctx)
	case <-h.ended:
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.err
	case a := <-done:
		return a.read(result)
	}
}

func (a answer) read(result any) error {
	var err error
	if result != nil && len(a.Result) > 0 {
		err = json.Unmarshal(a.Result, result)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return err
}

// Close ends the role: its operations' contexts end first, and it returns when
// they have.
func (h *Hands) Close() {
	_ = h.stdin.Close()
	<-h.ended
}
