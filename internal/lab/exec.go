// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/lab/agent"
)

// patience is the deadline of a call whose context has none, so that a hung
// machine does not hang its caller. What takes longer brings its own deadline.
const patience = 2 * time.Minute

// Command is a program to run in a machine; no shell is involved.
type Command struct {
	Argv  []string
	Env   []string // NAME=value, added to the machine's environment
	Dir   string   // working directory; "" is /
	Stdin []byte
}

// Result is what a program did.
type Result struct {
	Stdout, Stderr string
	ExitCode       int // 128 + n when signal n ended it
}

// ExitError is the error of a program that ended with another code than 0.
type ExitError struct {
	Machine string
	Argv    []string
	Result  Result
}

// Error shows the command and the end of what it wrote to stderr.
func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: %s: exit code %d: %s", e.Machine, strings.Join(e.Argv, " "), e.Result.ExitCode,
		tail(e.Result.Stderr, 5))
}

// Run runs a program in the machine and waits for it. The error is an
// *ExitError when the exit code is not 0. When ctx ends first, the program and
// its children are killed.
func (m *Machine) Run(ctx context.Context, argv ...string) (Result, error) {
	return m.Exec(ctx, Command{Argv: argv})
}

// RunInput is Run with input.
func (m *Machine) RunInput(ctx context.Context, stdin []byte, argv ...string) (Result, error) {
	return m.Exec(ctx, Command{Argv: argv, Stdin: stdin})
}

// Exec is Run with all that a command can have. Without a deadline of ctx it
// has two minutes.
func (m *Machine) Exec(ctx context.Context, c Command) (Result, error) {
	var stdout, stderr bytes.Buffer
	var exit agent.Exit
	err := m.call(ctx, strings.Join(c.Argv, " "), func(ctx context.Context) (err error) {
		command := agent.Command{Argv: c.Argv, Env: c.Env, Dir: c.Dir}
		exit, err = m.Agent().Run(ctx, command, bytes.NewReader(c.Stdin), &stdout, &stderr)
		return err
	})
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: exit.Code}
	if err == nil && exit.Code != 0 {
		err = &ExitError{Machine: m.Spec.Name, Argv: c.Argv, Result: result}
	}
	return result, err
}

// Stream runs a program with the caller's own input and output, and on a
// terminal when size is not nil. It returns the exit code. Only ctx limits its
// time.
func (m *Machine) Stream(
	ctx context.Context, argv []string, size *agent.Size, stdin io.Reader, stdout, stderr io.Writer,
) (int, error) {
	ctx, cancel := m.whileOn(ctx)
	defer cancel()
	exit, err := m.Agent().Run(ctx, agent.Command{Argv: argv, TTY: size}, stdin, stdout, stderr)
	if err != nil {
		err = fmt.Errorf("%s: %w", m.Spec.Name, err)
	}
	return exit.Code, err
}

// ReadFile returns the contents of a file in the machine.
func (m *Machine) ReadFile(ctx context.Context, path string) ([]byte, error) {
	var data []byte
	err := m.call(ctx, "read "+path, func(ctx context.Context) (err error) {
		data, err = m.Agent().ReadFile(ctx, path)
		return err
	})
	return data, err
}

// WriteFile writes a file in the machine, in place, and makes the file and its
// directory when they are missing.
func (m *Machine) WriteFile(ctx context.Context, path string, data []byte, mode fs.FileMode) error {
	return m.call(ctx, "write "+path, func(ctx context.Context) error {
		return m.Agent().WriteFile(ctx, path, data, mode)
	})
}

// call gives an operation its deadline and its name.
func (m *Machine) call(ctx context.Context, what string, do func(context.Context) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	ctx, cancel := m.whileOn(ctx)
	defer cancel()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %s: %w", m.Spec.Name, what, err)
	}
	return nil
}

// LinkDown takes the NIC with an address down inside the machine, which its
// kernel sees, unlike a Cut.
func (m *Machine) LinkDown(ctx context.Context, address string) error {
	i, err := m.nic(address)
	if err != nil {
		return err
	}
	_, err = m.Run(ctx, "ip", "link", "set", fmt.Sprintf("eth%d", i), "down")
	return err
}

// LinkUp undoes LinkDown.
func (m *Machine) LinkUp(ctx context.Context, address string) error {
	i, err := m.nic(address)
	if err != nil {
		return err
	}
	// The kernel dropped the NIC's routes when the link went down.
	lines := fmt.Sprintf("link set eth%d up\n%s", i, sourceRoute(m.Spec, i))
	_, err = m.RunInput(ctx, []byte(lines), "ip", "-batch", "-")
	return err
}

func (m *Machine) nic(address string) (int, error) {
	for i, n := range m.Spec.NICs {
		if n.Address.Addr().String() == address {
			return i, nil
		}
	}
	return 0, fmt.Errorf("machine %s has no address %s", m.Spec.Name, address)
}
