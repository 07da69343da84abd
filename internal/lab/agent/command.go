// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/gob"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lingering is how long after a command's end its descendants may hold its
// output open, as a program does that turns into a daemon.
const lingering = 500 * time.Millisecond

// run runs a command for a host that sends its input and wants its output. It
// returns when the command has ended or was killed because the host went away.
func run(c Command, in *gob.Decoder, out *replyWriter) (Exit, error) {
	cmd, err := command(c)
	if err != nil {
		return Exit{}, err
	}
	if c.TTY != nil {
		return runOnTerminal(cmd, *c.TTY, in, out)
	}
	cmd.Stdout = writerFunc(func(p []byte) error { return out.send(reply{Stdout: p}) })
	cmd.Stderr = writerFunc(func(p []byte) error { return out.send(reply{Stderr: p}) })
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Exit{}, err
	}
	if err := cmd.Start(); err != nil {
		return Exit{}, err
	}
	ended := make(chan struct{})
	defer close(ended)
	go serveInput(cmd, in, ended, func(i input) {
		// A command that does not read its input is none of our errors.
		_, _ = stdin.Write(i.Data)
		if i.EOF {
			_ = stdin.Close()
		}
	})
	return wait(cmd)
}

func command(c Command) (*exec.Cmd, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("no command given")
	}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	cmd.WaitDelay = lingering
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}

// serveInput feeds a command until it has ended, and kills its process group
// when the host goes away before.
func serveInput(cmd *exec.Cmd, in *gob.Decoder, ended <-chan struct{}, feed func(input)) {
	// The queue lets us see the host go while the command does not read.
	queue := make(chan input, 1024)
	defer close(queue)
	go func() {
		for i := range queue {
			feed(i)
		}
	}()
	for {
		var i input
		if err := in.Decode(&i); err != nil {
			break
		}
		select {
		case queue <- i:
		case <-ended:
		}
	}
	select {
	case <-ended: // the PID may be another's by now
	default:
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
}

func wait(cmd *exec.Cmd) (Exit, error) {
	err := cmd.Wait()
	if cmd.ProcessState == nil {
		return Exit{}, err
	}
	// Other errors tell of the exit code, or that descendants held the output.
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return Exit{Code: 128 + int(status.Signal()), Signal: status.Signal()}, nil
	}
	return Exit{Code: cmd.ProcessState.ExitCode()}, nil
}
