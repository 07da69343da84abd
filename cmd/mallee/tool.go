// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee/client"
)

// tool is one run of the program: what it reads, where it writes, and how it
// reaches the cloud.
type tool struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(name string) string
	dial           func(client.Config) (cloud, error)
	patience       patience

	output string // "text" or "json"
	// parsed is true once the command line was found right: an error before
	// that is one of usage.
	parsed bool
}

// run runs the tool that args[0] names and returns its exit code.
func (t *tool) run(ctx context.Context, args []string) int {
	root, report := t.command(), t.report
	switch filepath.Base(args[0]) {
	case describeProperties:
		root, report = t.eucaDescribe(), t.reportEuca
	case modifyProperty:
		root, report = t.eucaModify(), t.reportEuca
	}
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args[1:])
	root.SetIn(t.stdin)
	root.SetOut(t.stdout)
	root.SetErr(t.stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !t.parsed {
		err = usageError{err, cmd.CommandPath()}
	}
	return report(err)
}

func (t *tool) command() *cobra.Command {
	root := t.group("mallee", "Volumes over many paths: create, attach, watch",
		t.group("volume", "Create, attach, detach and delete volumes",
			t.volumeCreate(), t.volumeList(), t.volumeShow(), t.volumeAttach(), t.volumeDetach(), t.volumeDelete()),
		t.group("path", "See the paths from nodes to volumes", t.pathList()),
		t.group("node", "See the machines that volumes are attached to", t.nodeList()),
		t.group("property", "See and change the settings of a partition",
			t.propertyList(), t.propertyGet(), t.propertySet(), t.propertyReset()),
	)
	root.Version = version
	root.Long = `mallee works with the volumes of a cloud, the paths that lead to them, the nodes
that use them and the settings of its partitions.

The cloud and the account are named by the environment:
  MALLEE_ENDPOINT         URL of the CLC
  AWS_ACCESS_KEY_ID       access key of the account
  AWS_SECRET_ACCESS_KEY   its secret
  AWS_DEFAULT_REGION      region that requests are signed for
  AWS_CA_BUNDLE           file with the certificate of the CLC's authority
The CLC writes them for its admin: ` + sourceEnvironment + `

` + exitCodes
	root.Example = `  mallee volume create --partition PARTI00 --size 10
  mallee volume attach vol-1a2b3c4d i-0f1e2d3c
  mallee path list --volume vol-1a2b3c4d`
	root.PersistentFlags().StringVarP(&t.output, "output", "o", "text", "how results are written: text or json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if t.output != "text" && t.output != "json" {
			return fmt.Errorf("--output %s: choose text or json", t.output)
		}
		t.parsed = true
		return nil
	}
	return root
}

// group returns a command that only holds others.
func (t *tool) group(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]), cmd.CommandPath()}
			}
			return cmd.Help()
		},
	}
	group.AddCommand(commands...)
	return group
}
