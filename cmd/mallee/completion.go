// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"github.com/spf13/cobra"
)

// completion is the group of commands that print how a shell completes words for
// the tool.
func (t *tool) completion() *cobra.Command {
	script := func(shell, needs, install string, write func(*cobra.Command, io.Writer) error) *cobra.Command {
		return &cobra.Command{
			Use:   shell,
			Short: "Print the completion script for " + shell,
			Long: "Print the completion script for " + shell + `. It completes commands and flags, and asks the
cloud for the ids of volumes and nodes and the names of partitions and properties.` + needs,
			Example:           install,
			Args:              cobra.NoArgs,
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE:              func(cmd *cobra.Command, _ []string) error { return write(cmd.Root(), t.stdout) },
		}
	}
	return t.group("completion", "Print completion scripts for bash, zsh and fish",
		script("bash", " It\nneeds the package bash-completion.", "  mallee completion bash >/etc/bash_completion.d/mallee\n  source <(mallee completion bash)",
			func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) }),
		script("fish", "", "  mallee completion fish >~/.config/fish/completions/mallee.fish",
			func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) }),
		script("zsh", "", "  mallee completion zsh >/usr/local/share/zsh/site-functions/_mallee",
			func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) }),
	)
}
