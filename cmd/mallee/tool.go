// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/mallee-io/mallee/client"
)

// tool is one run of the program: what it reads, where it writes, and how it
// reaches the cloud.
type tool struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	screen         func(io.Writer) (columns, rows int) // of a terminal; 0, 0 for what is none
	getenv         func(name string) string
	dial           func(client.Config) (cloud, error)
	patience       patience

	connection connection
	clc        string // URL of the CLC, once connected
	output     string // one of outputs
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
