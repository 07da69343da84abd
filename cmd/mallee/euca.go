// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
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

// eucaDescribe is euca-describe-properties. Its output is a contract with
// scripts: one line a property, fields parted by tabs.
func (t *tool) eucaDescribe() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:     describeProperties + " [PREFIX]...",
		Short:   "Print properties, all or those whose names begin so",
		Example: "  euca-describe-properties PARTI00.storage.ncpaths\n  euca-describe-properties --verbose",
		PreRun:  func(*cobra.Command, []string) { t.parsed = true },
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := t.properties(cmd.Context(), args)
			if err != nil {
				return err
			}
			for _, p := range list {
				fmt.Fprintf(t.stdout, "PROPERTY\t%s\t%s\n", p.Name, p.Value)
				if verbose && p.Description != "" {
					fmt.Fprintf(t.stdout, "DESCRIPTION\t%s\t%s\n", p.Name, p.Description)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print descriptions too")
	return cmd
}

// eucaModify is euca-modify-property.
func (t *tool) eucaModify() *cobra.Command {
	var values, files, resets []string
	cmd := &cobra.Command{
		Use:   modifyProperty + " -p KEY=VALUE | -f KEY=FILE | -r KEY",
		Short: "Set and reset properties",
		Example: `  euca-modify-property -p PARTI00.storage.ncpaths=10.107.1.200,10.108.1.200
  euca-modify-property -r PARTI00.storage.ncpaths`,
		Args:   cobra.NoArgs,
		PreRun: func(*cobra.Command, []string) { t.parsed = true },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(values)+len(files)+len(resets) == 0 {
				return usageError{errors.New("one of -p, -f and -r is needed"), cmd.CommandPath()}
			}
			// All is read and understood before the first property changes.
			changes, err := t.eucaChanges(values, files, resets)
			if err != nil {
				return err
			}
			c, err := t.connect()
			if err != nil {
				return err
			}
			for _, change := range changes {
				done, err := call(cmd.Context(), func(ctx context.Context) (mallee.PropertyChange, error) { return change(ctx, c) })
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "PROPERTY\t%s\t%s was %s\n", done.Name, done.Value, done.OldValue)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&values, "property", "p", nil, "KEY=VALUE: set KEY to VALUE; may be given more than once")
	cmd.Flags().StringArrayVarP(&files, "property-from-file", "f", nil, "KEY=FILE: set KEY to what is in FILE, - for stdin; may be given more than once")
	cmd.Flags().StringArrayVarP(&resets, "property-to-reset", "r", nil, "KEY: set KEY to its default; may be given more than once")
	return cmd
}

type propertyCall func(context.Context, cloud) (mallee.PropertyChange, error)

func (t *tool) eucaChanges(values, files, resets []string) ([]propertyCall, error) {
	var changes []propertyCall
	set := func(key, value string) {
		changes = append(changes, func(ctx context.Context, c cloud) (mallee.PropertyChange, error) {
			return c.SetProperty(ctx, key, value)
		})
	}
	for _, option := range values {
		key, value, ok := strings.Cut(option, "=")
		if !ok {
			return nil, eucaFormError(option)
		}
		set(key, value)
	}
	for _, option := range files {
		key, name, ok := strings.Cut(option, "=")
		if !ok {
			return nil, eucaFormError(option)
		}
		content, err := t.read(name)
		if err != nil {
			return nil, err
		}
		set(key, strings.TrimSuffix(content, "\n"))
	}
	for _, key := range resets {
		changes = append(changes, func(ctx context.Context, c cloud) (mallee.PropertyChange, error) {
			return c.ResetProperty(ctx, key)
		})
	}
	return changes, nil
}

// read returns what is in the named file, or on stdin for "-".
func (t *tool) read(name string) (string, error) {
	if name == "-" {
		content, err := io.ReadAll(t.stdin)
		return string(content), err
	}
	content, err := os.ReadFile(name)
	return string(content), err
}

// eucaFormError is an option without "=", in the original's words.
type eucaFormError string

func (e eucaFormError) Error() string { return "Options must be of the form KEY=VALUE: " + string(e) }

// reportEuca tells of an error as the original did, what the API answered after
// "ERROR" and its status, and returns the code to exit with: 1, or 2 for a wrong
// command line.
func (t *tool) reportEuca(err error) int {
	if api, ok := errors.AsType[*client.APIError](err); ok {
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
