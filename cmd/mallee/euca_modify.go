// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

// eucaModify is euca-modify-property.
func (t *tool) eucaModify() *cobra.Command {
	var values, files, resets []string
	cmd := &cobra.Command{
		Use:   modifyProperty + " {-p KEY=VALUE | -f KEY=FILE | -r KEY}...",
		Short: "Set and reset properties",
		Long: `Set and reset properties: first those of -p, then those of -f, then those of -r. The
command line and all files are read and checked before the first property changes.
They change one by one: when the cloud refuses one, those before it have changed and
are printed. mallee property set changes several at once, or none.

A value from a file loses one end of line at its end. It is text in UTF-8 of at most
64 KiB.` + eucaHelp,
		Example: `  euca-modify-property -p PARTI00.storage.ncpaths=10.107.1.200,10.108.1.200
  euca-modify-property -f PARTI00.storage.ncpaths=/etc/mallee/ncpaths
  euca-modify-property -f PARTI00.storage.ncpaths=-
  euca-modify-property -r PARTI00.storage.ncpaths -r PARTI00.storage.scpaths`,
		Args:   cobra.NoArgs,
		PreRun: func(*cobra.Command, []string) { t.parsed = true },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(values)+len(files)+len(resets) == 0 {
				return usageError{errors.New("one of -p, -f and -r is needed"), cmd.CommandPath()}
			}
			changes, err := t.eucaChanges(values, files, resets)
			if err != nil {
				return err
			}
			c, err := t.connect()
			if err != nil {
				return err
			}
			for _, change := range changes {
				done, err := t.setProperties(cmd.Context(), c, []mallee.PropertySet{change}, false)
				if err != nil {
					return failure("set", change.Name, err)
				}
				for _, d := range done {
					fmt.Fprintf(t.stdout, "PROPERTY\t%s\t%s was %s\n", d.Name, d.Value, d.OldValue)
				}
			}
			return nil
		},
	}
	t.connection.flags(cmd.Flags())
	cmd.Flags().StringArrayVarP(&values, "property", "p", nil, "KEY=VALUE: set KEY to VALUE; may be given more than once")
	cmd.Flags().StringArrayVarP(&files, "property-from-file", "f", nil, "KEY=FILE: set KEY to what is in FILE, - for stdin; may be given more than once")
	cmd.Flags().StringArrayVarP(&resets, "property-to-reset", "r", nil, "KEY: set KEY to its default; may be given more than once")
	cmd.CompletionOptions.DisableDefaultCmd = true
	return cmd
}

// eucaChanges returns what the options ask for, in the order of their kinds.
func (t *tool) eucaChanges(values, files, resets []string) ([]mallee.PropertySet, error) {
	var changes []mallee.PropertySet
	for _, option := range values {
		key, value, ok := strings.Cut(option, "=")
		if !ok || key == "" {
			return nil, eucaFormError(option)
		}
		changes = append(changes, mallee.PropertySet{Name: key, Value: value})
	}
	source := valueSource{stdin: t.stdin}
	for _, option := range files {
		key, name, ok := strings.Cut(option, "=")
		if !ok || key == "" || name == "" {
			return nil, eucaFormError(option)
		}
		value, err := source.read(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read the value of %s: %w", key, err)
		}
		changes = append(changes, mallee.PropertySet{Name: key, Value: value})
	}
	for _, key := range resets {
		if key == "" {
			return nil, errors.New("-r needs the name of a property")
		}
		changes = append(changes, mallee.PropertySet{Name: key, Reset: true})
	}
	return changes, nil
}

// eucaFormError is an option without "=", in the original's words.
type eucaFormError string

func (e eucaFormError) Error() string { return "Options must be of the form KEY=VALUE: " + string(e) }
