// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/lab/agent"
)

// Process is a program in the background of a machine.
type Process struct {
	PID     int // in the machine
	Name    string
	machine *Machine
}

// Spawn starts a program in the background. Its output is appended to
// /var/log/NAME.log in the machine. It ends when it wants, by Kill, or with the
// machine; not with ctx.
func (m *Machine) Spawn(ctx context.Context, name string, argv ...string) (*Process, error) {
	p := &Process{Name: name, machine: m}
	err := m.call(ctx, "start "+name, func(ctx context.Context) (err error) {
		p.PID, err = m.Agent().Start(ctx, agent.Command{Argv: argv}, "/var/log/"+name+".log")
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Kill sends SIGKILL.
func (p *Process) Kill(ctx context.Context) error { return p.Signal(ctx, unix.SIGKILL) }

// Signal sends a signal to the process, not to its children.
func (p *Process) Signal(ctx context.Context, signal unix.Signal) error {
	return p.machine.call(ctx, fmt.Sprintf("signal %s", p.Name), func(ctx context.Context) error {
		return p.machine.Agent().Signal(ctx, p.PID, signal)
	})
}

// Wait waits until the process has ended and returns its exit code: 128 + n
// when signal n ended it. Without a deadline of ctx it waits two minutes.
func (p *Process) Wait(ctx context.Context) (int, error) {
	var exit agent.Exit
	err := p.machine.call(ctx, "wait for "+p.Name, func(ctx context.Context) (err error) {
		exit, err = p.machine.Agent().Wait(ctx, p.PID)
		return err
	})
	return exit.Code, err
}

// Log returns what this and earlier processes of that name have written. It
// works when the machine is down or hung, too.
func (p *Process) Log(context.Context) (string, error) {
	text, err := os.ReadFile(filepath.Join(p.machine.dir(), "log", p.Name+".log"))
	return string(text), err
}
