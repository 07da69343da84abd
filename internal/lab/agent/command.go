// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/gob"
	"errors"
	"io"
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
	var stdin io.WriteCloser
	if c.TTY != nil {
		master, slave, err := openTerminal(*c.TTY)
		if err != nil {
			return Exit{}, err
		}
		defer slave.Close()
		defer master.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		stdin = master
		go io.Copy(writerFunc(func(p []byte) error { return out.send(reply{Stdout: p}) }), master)
	} else {
		cmd.Stdout = writerFunc(func(p []byte) error { return out.send(reply{Stdout: p}) })
		cmd.Stderr = writerFunc(func(p []byte) error { return out.send(reply{Stderr: p}) })
		if stdin, err = cmd.StdinPipe(); err != nil {
			return Exit{}, err
		}
	}
	if err := cmd.Start(); err != nil {
		return Exit{}, err
	}
	go func() {
		receiveInput(in, stdin, c.TTY != nil)
		// The host has gone, or has its answer: then the group's leader has
		// been waited for and only stragglers can be left.
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}()
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

// receiveInput hands input to a command and returns when the host is gone.
func receiveInput(in *gob.Decoder, stdin io.WriteCloser, terminal bool) {
	for {
		var i input
		if err := in.Decode(&i); err != nil {
			return
		}
		// A command that does not read all of its input is none of our errors.
		_, _ = stdin.Write(i.Data)
		switch {
		case i.EOF && terminal:
			_, _ = stdin.Write([]byte{'D' - '@'}) // ^D
		case i.EOF:
			_ = stdin.Close()
		}
	}
}

func wait(cmd *exec.Cmd) (Exit, error) {
	err := cmd.Wait()
	if cmd.ProcessState == nil {
		return Exit{}, err
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return Exit{Code: 128 + int(status.Signal()), Signal: status.Signal()}, nil
	}
	return Exit{Code: status.ExitStatus()}, nil
}
