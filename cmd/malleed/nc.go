// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newNCCommand(*options) *cobra.Command {
	return &cobra.Command{Use: "nc", RunE: func(*cobra.Command, []string) error { return errors.New("not built in yet") }}
}
