// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

// Part is one of the cloud's daemons, wherever it runs.
type Part struct {
	Name    string
	start   func(context.Context) (process, error)
	running process
}

// process is a running daemon.
type process interface {
	kill(ctx context.Context) error // kill -9, and wait for its end
	log(ctx context.Context) string // what this one and its predecessors wrote
}

// Start starts the part, and returns once it serves.
func (p *Part) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	if p.running, err = p.start(ctx); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.Name, err)
	}
	return nil
}

// Kill is kill -9.
func (p *Part) Kill(ctx context.Context) error {
	if err := p.running.kill(ctx); err != nil {
		return fmt.Errorf("cannot kill %s: %w", p.Name, err)
	}
	return nil
}

// Log returns what the part has written.
func (p *Part) Log(ctx context.Context) string { return p.running.log(ctx) }

// native is a process beside the machines.
type native struct {
	cmd  *exec.Cmd
	file string
}

func (n native) kill(context.Context) error {
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = n.cmd.Wait() // "signal: killed" is what was asked for
	return nil
}

func (n native) log(context.Context) string {
	b, _ := os.ReadFile(n.file)
	return string(b)
}

// inMachine is a process on a machine.
type inMachine struct{ *lab.Process }

func (p inMachine) kill(ctx context.Context) error {
	if err := p.Kill(ctx); err != nil {
		return err
	}
	_, err := p.Wait(ctx)
	return err
}

func (p inMachine) log(ctx context.Context) string {
	text, _ := p.Log(ctx)
	return text
}

// configFile returns where the configuration of a role is that runs beside the machines.
func (c *Cloud) configFile(role string) string { return filepath.Join(c.dir, role+".toml") }

func (c *Cloud) configure(role, configuration string) error {
	return os.WriteFile(c.configFile(role), []byte(configuration), 0o600)
}

// startNative runs malleed beside the machines, with the configuration that
// configure has written.
func (c *Cloud) startNative(role string) (native, error) {
	n := native{file: filepath.Join(c.dir, role+".log")}
	out, err := os.OpenFile(n.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return native{}, err
	}
	defer out.Close()
	n.cmd = exec.Command(filepath.Join(c.bin, "malleed"), role, "--config", c.configFile(role))
	n.cmd.Stdout, n.cmd.Stderr = out, out
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the scenario, not for its parts
	return n, n.cmd.Start()
}

// listening waits until something accepts connections at addr.
func listening(ctx context.Context, addr string) error {
	return Eventually(ctx, 50*time.Millisecond, func() (bool, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
