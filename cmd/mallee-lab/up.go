// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee/internal/lab"
)

func upCommand() *cobra.Command {
	var nodes int
	var binaries []string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the lab and keep it until Ctrl-C",
		Example: `  mallee-lab up
  mallee-lab up --nodes 2 --binary build/malleed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := lab.Enter(); err != nil {
				return err
			}
			topology := lab.Standard()
			for n := 2; n <= nodes; n++ {
				topology.Machines = append(topology.Machines, lab.Node(n))
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			options := lab.Options{Topology: topology, Binaries: binaries, Init: self}
			return up(cmd.Context(), cmd.OutOrStdout(), options)
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 1, "number of nodes, nc1 and so on")
	cmd.Flags().StringSliceVar(&binaries, "binary", nil, "static executable to put on the PATH of each machine")
	return cmd
}

func up(ctx context.Context, out io.Writer, options lab.Options) error {
	began := time.Now()
	l, err := lab.Start(ctx, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the lab is up after %s\n\n", time.Since(began).Round(100*time.Millisecond))
	for _, m := range l.Machines() {
		fmt.Fprintf(out, "  %-5s", m.Spec.Name)
		for _, n := range m.Spec.NICs {
			fmt.Fprintf(out, " %s", n.Address.Addr())
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, `
  disks, consoles and logs   %[1]s
  a shell in a machine       %[2]s shell nc1
  a command on its network   %[2]s enter -- COMMAND
  cut a path, and heal it    %[2]s cut 10.107.1.200; %[2]s heal 10.107.1.200

Run these as root, in another terminal. Ctrl-C ends the lab.
`, l.RunDir, os.Args[0])
	<-ctx.Done()
	return l.Close()
}

func rootfsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rootfs",
		Short: "Build the machines' root file system, if it is not in the cache, and print where it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := lab.RootFS(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), dir)
			return nil
		},
	}
}
