// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee/internal/lab/agent"
	"github.com/mallee-io/mallee/internal/lab/guest"
)

// The two commands below are what a machine of the lab runs.

func initCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "init CONFIG",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		Run: func(_ *cobra.Command, args []string) {
			guest.Main(args[0])
		},
	}
}

func agentCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "agent ADDRESS",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			listener, err := net.Listen("tcp", args[0])
			if err != nil {
				return err
			}
			return agent.Serve(listener)
		},
	}
}
