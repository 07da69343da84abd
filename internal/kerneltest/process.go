// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"context"
	"errors"
	"time"

	"github.com/mallee-io/mallee/internal/block"
)

// ErrKilled is what every call of a process returns that has been killed; it does
// nothing then.
var ErrKilled = errors.New("the process was killed")

// Process is one run of the program under test. Its methods, and those of Mapper,
// Daemon and Allowed, are what package connector needs of a machine.
type Process struct {
	*Kernel
	dead   chan struct{}
	calls  int
	killAt int // its call at which it is killed; 0 for none
	events chan block.Uevent
	holds  []*hold // maps that it has open
}

// Process starts a process. There is one at a time: the one before must be dead.
func (k *Kernel) Process() *Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := &Process{Kernel: k, dead: make(chan struct{})}
	k.process = p
	return p
}

// Kill ends p. What iscsid or the kernel is at goes on.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
}

// KillAt ends p at its nth call from now.
func (p *Process) KillAt(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killAt = p.calls + n
}

// Dead is closed when p has been killed.
func (p *Process) Dead() <-chan struct{} { return p.dead }

func (p *Process) kill() {
	if p.killed() {
		return
	}
	close(p.dead)
	for _, h := range p.holds {
		h.m.opens--
	}
	p.holds = nil
	p.note("the process is killed")
	clear(p.judge.kept)
}

func (p *Process) killed() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// enter begins a call. The lock is held.
func (p *Process) enter() error {
	p.calls++
	if p.killAt > 0 && p.calls >= p.killAt {
		p.kill()
	}
	if p.killed() {
		return ErrKilled
	}
	return nil
}

// do is a call that takes time and then happens, unless p or its caller is gone by
// then.
func (p *Process) do(ctx context.Context, what string, lo, hi time.Duration, happen func() error) error {
	p.mu.Lock()
	err := p.enter()
	wait := p.takes(what, lo, hi)
	p.mu.Unlock()
	if err == nil {
		err = p.wait(ctx, wait)
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed() {
		return ErrKilled
	}
	err = happen()
	p.audit()
	return err
}

// now is a call that takes no time.
func (p *Process) now(happen func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter(); err != nil {
		return err
	}
	return happen()
}

func (p *Process) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.dead:
		return ErrKilled
	case <-timer.C:
		return nil
	}
}

// Uevents has the kernel's events handled until ctx ends, as block.Uevents does.
func (p *Process) Uevents(ctx context.Context, ready func(), handle func(block.Uevent)) error {
	p.mu.Lock()
	events := make(chan block.Uevent, 64)
	p.events = events
	p.mu.Unlock()
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.dead:
			return ErrKilled
		case e := <-events:
			handle(e)
		}
	}
}

// uevent tells the process of an event. One that finds no room is lost, and an
// empty one is left in its place (net/netlink: ENOBUFS).
func (k *Kernel) uevent(e block.Uevent) {
	p := k.process
	if p == nil || p.killed() || p.events == nil {
		return
	}
	select {
	case p.events <- e:
	default:
		<-p.events
		p.events <- block.Uevent{Lost: true}
	}
}
