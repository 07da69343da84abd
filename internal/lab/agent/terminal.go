// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runOnTerminal is run for a command with a terminal of its own.
func runOnTerminal(cmd *exec.Cmd, size Size, in *gob.Decoder, out *replyWriter) (Exit, error) {
	master, slave, err := openTerminal(size)
	if err != nil {
		return Exit{}, err
	}
	defer master.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	// While we hold this end too, reading the other one does not end.
	slave.Close()
	if err != nil {
		return Exit{}, err
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(writerFunc(func(p []byte) error { return out.send(reply{Stdout: p}) }), master)
	}()
	ended := make(chan struct{})
	defer close(ended)
	go serveInput(cmd, in, ended, func(i input) {
		if i.EOF {
			i.Data = []byte{'D' - '@'} // ^D
		}
		_, _ = master.Write(i.Data)
	})
	exit, err := wait(cmd)
	select {
	case <-copied:
	case <-time.After(lingering):
	}
	return exit, err
}

// openTerminal makes a pseudo terminal (pts(4)) and returns both its ends.
func openTerminal(size Size) (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, fmt.Errorf("cannot unlock terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot number terminal: %w", err)
	}
	winsize := unix.Winsize{Row: size.Rows, Col: size.Columns}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &winsize); err != nil {
		return nil, nil, fmt.Errorf("cannot size terminal: %w", err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}
