// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
)

func newSCCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "sc",
		Short: "Run the storage controller of a partition",
		Args:  cobra.NoArgs,
	}
}
