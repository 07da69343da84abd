// SPDX-License-Identifier: Apache-2.0

// Command mallee-lab runs the lab: a storage area network of virtual machines
// on one Linux machine. It is also what runs in these machines, as init and as
// exec agent.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// exitCode ends the program with the code of the command that it ran.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	err := rootCommand().ExecuteContext(ctx)
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintf(os.Stderr, "mallee-lab: %v\n", err)
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mallee-lab",
		Short: "Run a SAN of virtual machines on this machine",
		Long: `mallee-lab boots a storage processor (san) and a node (nc1), each with a Linux
kernel of its own, joined by a management network and two storage fabrics. Paths can
be cut and machines killed. All needs root, and ends with "mallee-lab up".`,
		Example: `  mallee-lab up                                # in one terminal
  mallee-lab run nc1 -- ping -c 1 10.107.1.200 # in another
  mallee-lab cut 10.107.1.200
  mallee-lab shell nc1`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().Bool(foreign, false, "work in a lab that another program started, such as a test")
	cmd.AddCommand(
		upCommand(), rootfsCommand(),
		runCommand(), shellCommand(),
		cutCommand(), healCommand(),
		killCommand(), startCommand(), enterCommand(),
		initCommand(), agentCommand(),
	)
	return cmd
}
