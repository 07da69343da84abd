// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

const forceUsage = "also when a machine would be left with fewer paths than minpaths"

func (t *tool) propertySet() *cobra.Command {
	var files, conditions []string
	var force bool
	var settings []setting
	cmd := &cobra.Command{
		Use:   "set {NAME VALUE | NAME=VALUE...}",
		Short: "Set properties",
		Long: `Set one property or several. Either all of them change or, when the cloud refuses
one, none. A change of paths reaches attached volumes at once: they gain and lose
paths while they are used. Refused is a change that would leave a machine that
reaches enough paths now with fewer than minpaths; mallee path check shows it before.

A password does not belong on a command line, which others can read: give it with
--from-file. The value of a file loses one end of line at its end; it is text in
UTF-8 of at most 64 KiB.

With --output json or yaml one change is an object, several are a list.

` + propertyTable(),
		Example: `  mallee property set PARTI00.storage.ncpaths 10.107.1.200,10.108.1.200
  mallee property set PARTI00.storage.ncpaths=nopath PARTI00.storage.minpaths=2
  mallee property set PARTI00.storage.minpaths=2 --if PARTI00.storage.minpaths=1
  mallee property set --from-file PARTI00.storage.sanpassword=-`,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if len(args)+len(files) == 0 {
				return countError(cmd, args)
			}
			settings, err = parseSettings(args, files, conditions)
			return err
		},
		ValidArgsFunction: t.settingWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sets, err := t.read(settings)
			if err != nil {
				return err
			}
			return t.change(cmd.Context(), "set", sets, force)
		},
	}
	cmd.Flags().StringArrayVar(&files, "from-file", nil, "NAME=FILE: set NAME to what is in FILE, - for stdin; may be given more than once")
	cmd.Flags().StringArrayVar(&conditions, "if", nil, "NAME=VALUE: change nothing unless NAME, which is set, has VALUE now; may be given more than once")
	cmd.Flags().BoolVar(&force, "force", false, forceUsage)
	complete(cmd, "if", t.words(assignmentWords))
	return cmd
}

func (t *tool) propertyReset() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "reset NAME...",
		Short:   "Set properties to their defaults",
		Long:    "Set one property or several to their defaults: all of them, or none when the\ncloud refuses one.",
		Example: "  mallee property reset PARTI00.storage.ncpaths\n  mallee property reset PARTI00.storage.ncpaths PARTI00.storage.minpaths",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return countError(cmd, args)
			}
			return nil
		},
		ValidArgsFunction: t.arguments(true, propertyWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			sets := convert(args, func(name string) mallee.PropertySet { return mallee.PropertySet{Name: name, Reset: true} })
			return t.change(cmd.Context(), "reset", sets, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, forceUsage)
	return cmd
}

// change makes all changes or none, and prints what became of the properties.
func (t *tool) change(ctx context.Context, op string, sets []mallee.PropertySet, force bool) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	changes, err := t.setProperties(ctx, c, sets, force)
	if err != nil {
		names := strings.Join(convert(sets, func(s mallee.PropertySet) string { return s.Name }), ", ")
		return failure(op, names, withoutName(err, names))
	}
	records := convert(changes, recordPropertyChange)
	var value any = records
	if len(records) == 1 {
		value = records[0]
	}
	return t.print(value, func() string {
		var b strings.Builder
		for _, change := range changes {
			fmt.Fprintf(&b, "%s: %q was %q\n", change.Name, change.Value, change.OldValue)
		}
		return b.String()
	})
}

// setProperties makes all changes or none, and tells on stderr what the cloud warns of.
func (t *tool) setProperties(ctx context.Context, c cloud, sets []mallee.PropertySet, force bool) ([]mallee.PropertyChange, error) {
	var warnings []string
	changes, err := during(t, "waiting for the cloud controller", func() ([]mallee.PropertyChange, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		changes, told, err := c.SetProperties(ctx, sets, force)
		warnings = told
		return changes, err
	})
	for _, warning := range warnings {
		t.warn("%s", warning)
	}
	return changes, err
}

// withoutName takes the words from a refusal that failure says too: the original's,
// and the name that was to be set.
func withoutName(err error, name string) error {
	api, ok := errors.AsType[*client.APIError](err)
	if !ok {
		return err
	}
	short := *api
	short.Message = strings.TrimPrefix(strings.TrimPrefix(api.Message, "Failed to set property: "), name+": ")
	return &short
}
