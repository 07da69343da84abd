// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandLines returns the calls of a command's own tool in its examples.
func commandLines(example, name string) [][]string {
	var list [][]string
	for line := range strings.Lines(example) {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n()", r) })
		var call []string
		for _, word := range words {
			switch {
			case word == name:
				call = []string{name}
			case word == "|" || strings.HasPrefix(word, ">"):
				goto next
			case call != nil:
				call = append(call, strings.Trim(word, `'"`))
			}
		}
	next:
		if call != nil {
			list = append(list, call)
		}
	}
	return list
}

// Each command says what it does and shows how it is called, in lines that it takes.
func TestCommandsExplainThemselves(t *testing.T) {
	all := append(leaves((&tool{}).command()), (&tool{}).eucaDescribe(), (&tool{}).eucaModify())
	for _, leaf := range all {
		path := leaf.CommandPath()
		t.Run(path, func(t *testing.T) {
			if leaf.Short == "" || strings.HasSuffix(leaf.Short, ".") {
				t.Errorf("what it does in one line is %q", leaf.Short)
			}
			name, _, _ := strings.Cut(path, " ")
			lines := commandLines(leaf.Example, name)
			if len(lines) == 0 {
				t.Fatal("no example calls it")
			}
			for _, line := range lines {
				root := map[string]func(*tool) *cobra.Command{
					describeProperties: (*tool).eucaDescribe, modifyProperty: (*tool).eucaModify,
				}[name]
				if root == nil {
					root = (*tool).command
				}
				cmd, rest, err := root(&tool{}).Find(line[1:])
				if err != nil || !strings.HasSuffix(path, cmd.Name()) {
					t.Fatalf("%q is %s, %v", line, cmd.CommandPath(), err)
				}
				if err := cmd.ParseFlags(rest); err != nil {
					t.Errorf("%q: %v", line, err)
				}
				if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
					t.Errorf("%q: %v", line, err)
				}
			}
			var out bytes.Buffer
			help := &tool{stdout: &out, stderr: &out, stdin: strings.NewReader(""), getenv: environment, screen: noTerminal}
			if code := help.run(t.Context(), append(strings.Fields(path), "--help")); code != exitOK || !strings.Contains(out.String(), "Examples:\n") {
				t.Errorf("--help exits with %d and prints\n%s", code, out.String())
			}
		})
	}
}

func TestManualPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1793534400")
	dir := filepath.Join(t.TempDir(), "man1")
	var errs bytes.Buffer
	pages := &tool{stdout: io.Discard, stderr: &errs, stdin: strings.NewReader(""), getenv: environment, screen: noTerminal}
	if code := pages.run(t.Context(), []string{"mallee", "man", dir}); code != exitOK {
		t.Fatalf("exits with %d: %s", code, errs.String())
	}
	for _, leaf := range append(leaves((&tool{}).command()), (&tool{}).eucaDescribe(), (&tool{}).eucaModify()) {
		name := strings.ReplaceAll(leaf.CommandPath(), " ", "-") + ".1"
		if leaf.Hidden {
			continue
		}
		if page, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Contains(page, []byte("\n.SH EXAMPLE")) {
			t.Errorf("%s: %v\n%s", name, err, page)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "mallee.1"))
	if err != nil {
		t.Fatal(err)
	}
	// The tables in the text keep their lines.
	if !strings.Contains(string(page), "\n2    the command line, the environment or a value is wrong\n3    denied") {
		t.Errorf("the exit codes are not a table:\n%s", page)
	}
}
