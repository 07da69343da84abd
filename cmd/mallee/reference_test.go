// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// TestReferenceIsCurrent compares docs/reference/cli.md with the commands. With
// UPDATE_SCRIPTS=1 in the environment it writes the page.
func TestReferenceIsCurrent(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "reference", "cli.md")
	page := reference()
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), page); diff != "" {
		t.Errorf("docs/reference/cli.md is not what the commands say; run UPDATE_SCRIPTS=1 go test ./cmd/mallee (-page +commands):\n%s", diff)
	}
}

// reference returns the page of all commands, in Markdown.
func reference() string {
	t := &tool{}
	root := t.command()
	var b strings.Builder
	fmt.Fprintf(&b, `# The mallee command

<!-- Made from the commands' own help: UPDATE_SCRIPTS=1 go test ./cmd/mallee -->

%s

Results go to stdout: aligned text, in which an empty cell is `+"`-`"+`, or the same
record with `+"`--output json`"+` or `+"`--output yaml`"+`. Progress, errors and the next step go
to stderr. A command that changes a volume waits until it is done and tells what it
waits for after a second; Ctrl-C ends the waiting only.

A listing ends after %d rows, and says so on stderr when there are more; with
`+"`--all`"+` it prints all of them as they come. With `+"`--watch`"+` what changed is printed
again: on a terminal in place, else as text below a line with the time, or as a JSON
or YAML document for each change. Ctrl-C ends it, with exit code 0.

These flags go with each command:

%s
`, block(root.Long), pageRows, block(root.PersistentFlags().FlagUsages()))
	for _, command := range leaves(root) {
		if !command.Hidden {
			describe(&b, command)
		}
	}
	fmt.Fprintf(&b, `
## The original's commands

`+"`mallee`"+` called by one of these names prints what the original's tool of that name
printed. Both exit with 1 on any failure and with 2 on a wrong command line. An
error of the API is `+"`ERROR STATUS REASON CODE: MESSAGE`"+` on stderr.
`)
	describe(&b, t.eucaDescribe())
	describe(&b, t.eucaModify())
	return b.String()
}

// leaves returns the commands that do something, in the order of the help.
func leaves(command *cobra.Command) []*cobra.Command {
	if !command.HasSubCommands() {
		return []*cobra.Command{command}
	}
	var list []*cobra.Command
	for _, child := range command.Commands() {
		list = append(list, leaves(child)...)
	}
	return list
}

func describe(b *strings.Builder, command *cobra.Command) {
	text := command.Long
	if text == "" {
		text = command.Short + "."
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", command.CommandPath(), text)
	command.DisableFlagsInUseLine = true
	usage := command.UseLine()
	if flags := command.LocalNonPersistentFlags().FlagUsages(); flags != "" {
		usage += "\n\n" + flags
	}
	fmt.Fprintf(b, "%s\n\nFor example:\n\n%s\n", block(usage), block(unindent(command.Example)))
}

func unindent(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "  "), "\n  ", "\n")
}

func block(text string) string { return "```\n" + strings.TrimRight(text, "\n") + "\n```" }
