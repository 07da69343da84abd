// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

// exactly accepts n arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return countError(cmd, args)
		}
		return nil
	}
}

// countError says how a command is written that was given too many arguments or
// too few.
func countError(cmd *cobra.Command, args []string) error {
	given := fmt.Sprintf("%d arguments were", len(args))
	if len(args) == 1 {
		given = "1 argument was"
	}
	return fmt.Errorf("%s given: write %s", given, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
}

// volumeArgs accepts a volume's id and then n-1 further arguments. An id of the
// wrong form is found here, before anything is sent.
func volumeArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := exactly(n)(cmd, args); err != nil {
			return err
		}
		if !mallee.VolumeID(args[0]).Valid() {
			return fmt.Errorf("%q is no volume id: write vol- and 8 or 17 hexadecimal digits", args[0])
		}
		return nil
	}
}

// resourceArgs accepts the id of a volume or a node, and least-1 arguments or more
// after it; most < 0 is no limit.
func resourceArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return countError(cmd, args)
		}
		if !mallee.VolumeID(args[0]).Valid() && !mallee.InstanceID(args[0]).Valid() {
			return fmt.Errorf("%q is no id of a volume or a node: write vol- or i-, and 8 or 17 hexadecimal digits", args[0])
		}
		return nil
	}
}
