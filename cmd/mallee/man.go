// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// man writes the manual pages. Who builds packages needs it, and nobody else.
func (t *tool) man() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIRECTORY",
		Short:   "Write the manual pages of all commands to a directory",
		Long:    "Write the manual pages of all commands to a directory. Their date is that of\nSOURCE_DATE_EPOCH, if that is set.",
		Example: "  mallee man /usr/local/share/man/man1",
		Args:    exactly(1),

		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			for _, command := range []*cobra.Command{cmd.Root(), t.eucaDescribe(), t.eucaModify()} {
				command.DisableAutoGenTag = true // and that of those below it
				keepLines(command)
				header := &doc.GenManHeader{Section: "1", Source: "mallee " + version, Manual: "Mallee"}
				if err := doc.GenManTree(command, header, args[0]); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// keepLines marks the indented lines of what commands say of themselves as
// Markdown's code, so that a manual page does not flow them into each other.
func keepLines(command *cobra.Command) {
	var b strings.Builder
	before := ""
	for line := range strings.Lines(command.Long) {
		if indented := strings.HasPrefix(line, "  "); indented {
			if !strings.HasPrefix(before, "  ") {
				b.WriteByte('\n')
			}
			b.WriteString("  ")
		} else if strings.HasPrefix(before, "  ") {
			b.WriteByte('\n')
		}
		b.WriteString(line)
		before = line
	}
	command.Long = b.String()
	for _, child := range command.Commands() {
		keepLines(child)
	}
}
