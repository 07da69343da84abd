// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newSPCommand(*options) *cobra.Command {
	return &cobra.Command{Use: "sp", RunE: func(*cobra.Command, []string) error { return errors.New("not built in yet") }}
}
