// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// The names under which the tool is one of the original's.
const (
	describeProperties = "euca-describe-properties"
	modifyProperty     = "euca-modify-property"
)

const eucaHelp = `

Which cloud is called, and as whom, is taken as mallee takes it; see mallee --help.
EUCA_PROPERTIES_URL names the URL too. Exit codes: 0 done, 1 failed, 2 the command
line is wrong.`

// eucaDescribe is euca-describe-properties. Its output is a contract with
// scripts: one line a property, fields parted by tabs.
func (t *tool) eucaDescribe() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:     describeProperties + " [PREFIX]...",
		Short:   "Print properties, all or those whose names begin so",
		Long:    "Print properties, all or those whose names begin so, sorted by partition and name." + eucaHelp,
		Example: "  euca-describe-properties PARTI00.storage.ncpaths\n  euca-describe-properties --verbose",
		Args:    cobra.ArbitraryArgs,
		PreRun:  func(*cobra.Command, []string) { t.parsed = true },
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := t.properties(cmd.Context(), args)
			if err != nil {
				return err
			}
			slices.SortStableFunc(list, compareProperties)
			for _, p := range list {
				fmt.Fprintf(t.stdout, "PROPERTY\t%s\t%s\n", p.Name, p.Value)
				if verbose && p.Description != "" {
					fmt.Fprintf(t.stdout, "DESCRIPTION\t%s\t%s\n", p.Name, p.Description)
				}
			}
			return nil
		},
	}
	t.connection.flags(cmd.Flags())
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print descriptions too")
	cmd.CompletionOptions.DisableDefaultCmd = true
	return cmd
}

// compareProperties orders by the set that a property is in, then by name: not
// the order of the names alone, since '-' stands before '.'.
func compareProperties(a, b mallee.Property) int {
	set := func(p mallee.Property) string { return p.Name[:max(strings.LastIndexByte(p.Name, '.'), 0)] }
	return cmp.Or(
		slices.Compare(strings.Split(set(a), "."), strings.Split(set(b), ".")),
		cmp.Compare(a.Name, b.Name),
	)
}

// reportEuca tells of an error as the original did, what the API answered after
// "ERROR" and its status, and returns the code to exit with: 1, or 2 for a wrong
// command line.
func (t *tool) reportEuca(err error) int {
	if api, ok := errors.AsType[*client.APIError](err); ok && api.Code != "" {
		fmt.Fprintf(t.stderr, "ERROR %d %s %s: %s\n", api.Status, http.StatusText(api.Status), api.Code, api.Message)
		return exitFailed
	}
	fmt.Fprintln(t.stderr, err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if e, ok := errors.AsType[*mallee.Error](err); ok && e.Hint != "" {
		fmt.Fprintln(t.stderr, e.Hint)
	}
	return exitFailed
}
