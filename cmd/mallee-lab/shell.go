// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/internal/lab/agent"
)

func shellCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "shell MACHINE",
		Short:   "Open a shell in a machine",
		Example: `  mallee-lab shell nc1`,
		Args:    cobra.ExactArgs(1),
		RunE: onMachine(func(cmd *cobra.Command, m *lab.Machine, _ []string) error {
			size, restore := rawTerminal()
			defer restore()
			argv := []string{"env", "TERM=" + os.Getenv("TERM"), "bash", "-l"}
			code, err := m.Stream(cmd.Context(), argv, size, os.Stdin, os.Stdout, os.Stderr)
			if err == nil && code != 0 {
				err = exitCode(code)
			}
			return err
		}),
	}
}

// rawTerminal stops our terminal from interpreting keys, since the machine's
// does that, and returns its size: nil when stdin is no terminal.
func rawTerminal() (size *agent.Size, restore func()) {
	stdin := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(stdin, unix.TCGETS)
	if err != nil {
		return nil, func() {}
	}
	size = &agent.Size{Rows: 24, Columns: 80}
	if winsize, err := unix.IoctlGetWinsize(stdin, unix.TIOCGWINSZ); err == nil && winsize.Row > 0 {
		size = &agent.Size{Rows: winsize.Row, Columns: winsize.Col}
	}
	// What cfmakeraw(3) does.
	raw := *before
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(stdin, unix.TCSETS, &raw); err != nil {
		return size, func() {}
	}
	return size, func() { _ = unix.IoctlSetTermios(stdin, unix.TCSETS, before) }
}
