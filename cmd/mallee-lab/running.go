// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/lab"
)

// foreign is the flag without which we keep out of a lab that "up" did not
// start: a test that waited its turn may have one by now.
const foreign = "foreign"

// join enters the running lab and returns it.
func join(cmd *cobra.Command) (*lab.Lab, error) {
	anybodys, err := cmd.Flags().GetBool(foreign)
	if err != nil {
		return nil, err
	}
	if err := lab.Join(); err != nil {
		return nil, err
	}
	l, program, err := lab.Running()
	if err != nil {
		return nil, err
	}
	if self := filepath.Base(os.Args[0]); program != self && !anybodys {
		return nil, fmt.Errorf("the running lab is %s's, not one of %q: use --%s to work in it", program, self+" up", foreign)
	}
	return l, nil
}

// onMachine makes a RunE that works on the machine its first argument names.
func onMachine(do func(*cobra.Command, *lab.Machine, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		l, err := join(cmd)
		if err != nil {
			return err
		}
		m := l.Machine(args[0])
		if m == nil {
			return fmt.Errorf("no machine %q in the lab", args[0])
		}
		return do(cmd, m, args[1:])
	}
}

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "run MACHINE -- COMMAND [ARGUMENT]...",
		Short:   "Run a command in a machine, with this terminal's input and output",
		Example: `  mallee-lab run nc1 -- multipath -ll`,
		Args:    cobra.MinimumNArgs(2),
		RunE: onMachine(func(cmd *cobra.Command, m *lab.Machine, argv []string) error {
			code, err := m.Stream(cmd.Context(), argv, nil, os.Stdin, os.Stdout, os.Stderr)
			if err == nil && code != 0 {
				err = exitCode(code)
			}
			return err
		}),
	}
}

func killCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "kill MACHINE",
		Short:   "Take a machine's power away",
		Example: `  mallee-lab kill san`,
		Args:    cobra.ExactArgs(1),
		RunE: onMachine(func(cmd *cobra.Command, m *lab.Machine, _ []string) error {
			return m.Kill(cmd.Context())
		}),
	}
}

func startCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "start MACHINE",
		Short:   "Boot a machine that was killed, on the disks it had",
		Example: `  mallee-lab start san`,
		Args:    cobra.ExactArgs(1),
		RunE: onMachine(func(cmd *cobra.Command, m *lab.Machine, _ []string) error {
			return m.Start(cmd.Context())
		}),
	}
}

// faultCommand is a command on ADDRESS... or, with --fabric, on bridges.
func faultCommand(use, short string, one, all func(*lab.Lab, context.Context, string) error) *cobra.Command {
	var fabric bool
	cmd := &cobra.Command{
		Use:     use + " ADDRESS...",
		Short:   short,
		Example: fmt.Sprintf("  mallee-lab %s 10.107.1.200\n  mallee-lab %s --fabric fab1", use, use),
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := join(cmd)
			if err != nil {
				return err
			}
			do := one
			if fabric {
				do = all
			}
			for _, name := range args {
				if err := do(l, cmd.Context(), name); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&fabric, "fabric", false, "the arguments are bridges: all addresses on them")
	return cmd
}

func cutCommand() *cobra.Command {
	return faultCommand("cut", "Lose all packets from and to an address, silently", (*lab.Lab).Cut, (*lab.Lab).CutFabric)
}

func healCommand() *cobra.Command {
	return faultCommand("heal", "Undo cut", (*lab.Lab).Heal, (*lab.Lab).HealFabric)
}

func enterCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "enter -- COMMAND [ARGUMENT]...",
		Short:   "Run a command of the host on the lab's networks",
		Example: `  mallee-lab enter -- ping -c 1 10.109.1.26`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := join(cmd); err != nil {
				return err
			}
			path, err := exec.LookPath(args[0])
			if err != nil {
				return err
			}
			return unix.Exec(path, args, os.Environ())
		},
	}
}
