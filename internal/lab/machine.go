// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/lab/agent"
)

// Machine is one machine of the lab. Its methods may be called concurrently,
// apart from Start and Kill.
type Machine struct {
	Spec MachineSpec

	runDir  string
	control netip.Addr
	backend backend

	mu sync.Mutex
	on context.Context // ends when the machine stops
}

func newMachine(runDir string, spec MachineSpec, control netip.Addr, b backend) *Machine {
	return &Machine{Spec: spec, runDir: runDir, control: control, backend: b, on: context.Background()}
}

// Disk is the device of the machine's i-th disk, in the machine: /dev/ubda or
// /dev/vda and so on.
func (m *Machine) Disk(i int) string {
	return "/dev/" + m.backend.traits().disk + string(rune('a'+i))
}

// addresses are those of all NICs: the control network's first.
func (m *Machine) addresses() []netip.Addr {
	addresses := []netip.Addr{m.control}
	for _, n := range m.Spec.NICs {
		addresses = append(addresses, n.Address.Addr())
	}
	return addresses
}

func (m *Machine) dir() string { return filepath.Join(m.runDir, m.Spec.Name) }

// logDir is the machine's /var/log.
func (m *Machine) logDir() string { return filepath.Join(m.dir(), "log") }

// ConsolePath is the file of what the machine's kernel and init have printed,
// over all its boots.
func (m *Machine) ConsolePath() string { return filepath.Join(m.dir(), "console") }

func (m *Machine) pidPath() string { return filepath.Join(m.dir(), "pid") }

// Start boots the machine and returns when its agent answers. Disks are what
// they were; all else is new. A machine that runs is killed first.
func (m *Machine) Start(ctx context.Context) error {
	if err := m.boot(ctx); err != nil {
		return fmt.Errorf("cannot start machine %s: %w", m.Spec.Name, err)
	}
	return nil
}

func (m *Machine) boot(ctx context.Context) error {
	// What crashed or powered itself off may have left processes that hold
	// its disks.
	if err := m.kill(ctx); err != nil {
		return err
	}
	cmd, err := m.backend.command(m)
	if err != nil {
		return err
	}
	console, err := os.OpenFile(m.ConsolePath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer console.Close()
	cmd.Stdout, cmd.Stderr = console, console
	// A session of its own: a Ctrl-C at our terminal is not meant for it, and
	// Kill finds its helper processes by their group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	on, stopped := context.WithCancelCause(context.Background())
	m.mu.Lock()
	m.on = on
	m.mu.Unlock()
	go func() {
		_ = cmd.Wait() // why it stopped is on the console
		stopped(fmt.Errorf("machine %s is down: see %s", m.Spec.Name, m.ConsolePath()))
	}()
	if err := os.WriteFile(m.pidPath(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		return err
	}
	return m.await(ctx)
}

// await waits until the agent answers.
func (m *Machine) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.backend.traits().boot, errors.New("its agent does not answer"))
	defer cancel()
	ctx, cancel = m.whileOn(ctx)
	defer cancel()
	dialer := net.Dialer{Timeout: 250 * time.Millisecond}
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := dialer.DialContext(ctx, "tcp", agentAddress(m.control))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-retry.C:
		}
	}
}

// whileOn ends ctx when the machine stops, so that nobody waits for the dead.
func (m *Machine) whileOn(ctx context.Context) (context.Context, context.CancelFunc) {
	m.mu.Lock()
	on := m.on
	m.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(on, func() { cancel(context.Cause(on)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Kill is a power failure: it returns when the machine is gone. Killing a
// machine that is off does nothing.
func (m *Machine) Kill(ctx context.Context) error {
	if err := m.kill(ctx); err != nil {
		return fmt.Errorf("cannot kill machine %s: %w", m.Spec.Name, err)
	}
	return nil
}

func (m *Machine) kill(ctx context.Context) error {
	text, err := os.ReadFile(m.pidPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	if err := killGroup(ctx, pid); err != nil {
		return err
	}
	return os.Remove(m.pidPath())
}

// killGroup kills a process group and waits for its leader, which need not be
// our child.
func killGroup(ctx context.Context, pid int) error {
	leader, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(leader)
	} else if !errors.Is(err, unix.ESRCH) {
		return err
	}
	// The group may hold helpers yet when the leader has ended.
	if err := unix.Kill(-pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for leader >= 0 {
		fds := []unix.PollFd{{Fd: int32(leader), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// Agent is the client of the machine's agent, for output as it comes. Prefer
// Run, Spawn and the other methods: they know when the machine is down.
func (m *Machine) Agent() agent.Client { return agent.Client{Address: agentAddress(m.control)} }

func agentAddress(control netip.Addr) string {
	return netip.AddrPortFrom(control, agentPort).String()
}
