// SPDX-License-Identifier: Apache-2.0

// Package command is the one place that starts a process. A program is found in
// fixed system directories only, gets an argument vector and never a shell, a
// small fixed environment with LC_ALL=C so that its output can be parsed, and a
// deadline.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// DefaultTimeout bounds a program whose caller's context has no earlier deadline.
const DefaultTimeout = 60 * time.Second

// maxOutput bounds what is kept of each stream, so that a program gone mad
// cannot exhaust the memory of a daemon.
const maxOutput = 16 << 20

// ErrNotFound is the cause of the error for a program that is not installed.
var ErrNotFound = exec.ErrNotFound

// Runner starts programs. The zero value is ready for use; a Runner is safe for
// concurrent use.
type Runner struct {
	// Path lists the directories in which programs are looked for, in order;
	// empty means the system's own. Tests put a directory of scripts first.
	Path []string
	// Log receives a line at debug level for each program that ended, with its
	// arguments; nil discards them. Secrets must not be passed as arguments:
	// every user of the machine can read those in /proc.
	Log *slog.Logger
	// Timeout replaces DefaultTimeout.
	Timeout time.Duration
}

// Error is the failure of a program that was started.
type Error struct {
	Program  string
	ExitCode int    // -1 when a signal ended it
	Stderr   string // raw, for the log; it does not belong into an API's answer
	Err      error
}

// Error names the program and its exit code, not its output.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Program, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode returns the exit code of the program whose failure err is, and -1 for
// any other error.
func ExitCode(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.ExitCode
	}
	return -1
}

// Run starts program with args, waits for it, and returns its standard output.
// When ctx ends first the program is killed with all its children. An exit code
// other than zero is an *Error.
func (r Runner) Run(ctx context.Context, program string, args ...string) ([]byte, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	file, err := r.find(program)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + strings.Join(r.path(), ":")}
	stdout, stderr := &capped{max: maxOutput}, &capped{max: maxOutput}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// A process group of its own, so that children of a killed program, which
	// would hold locks and devices, go with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A child that left the group may keep the pipes open: do not wait for it.
	cmd.WaitDelay = time.Second

	start := time.Now()
	err = cmd.Run()
	if r.Log != nil {
		r.Log.DebugContext(ctx, "program ended", "program", program, "args", args,
			"duration", time.Since(start), "error", err, "stderr", strings.TrimSpace(stderr.String()))
	}
	if err == nil {
		return stdout.Bytes(), nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	failure := &Error{Program: program, ExitCode: -1, Stderr: strings.TrimSpace(stderr.String()), Err: err}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		failure.ExitCode = exit.ExitCode()
	}
	return stdout.Bytes(), failure
}

func (r Runner) path() []string {
	if len(r.Path) > 0 {
		return r.Path
	}
	return []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}
}

func (r Runner) find(program string) (string, error) {
	if strings.Contains(program, "/") {
		return "", fmt.Errorf("cannot run %q: a program is named without its directory", program)
	}
	for _, dir := range r.path() {
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("cannot run %s: %w in %s", program, exec.ErrNotFound, strings.Join(r.path(), ":"))
}

// capped keeps the first max bytes written to it and takes the rest in silence.
type capped struct {
	bytes.Buffer
	max int
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.max - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
