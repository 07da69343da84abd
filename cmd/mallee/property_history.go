// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) propertyHistory() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use:   "history [PREFIX]...",
		Short: "Show who changed which property when",
		Long: `Show the changes of properties, of all or of those whose names begin so: when, by
whom, and from which value to which, the newest first. A change that was made although
a machine would be left with too few paths is marked "forced". Each partition remembers
its last hundred changes.`,
		Example: "  mallee property history\n  mallee property history PARTI00.storage.ncpaths --max 5",
		Args: func(*cobra.Command, []string) error {
			if most < 1 {
				return fmt.Errorf("--max %d: write a number above 0", most)
			}
			return nil
		},
		ValidArgsFunction: t.arguments(true, propertyWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			list, err := t.history(cmd.Context(), c, args, most)
			if err != nil {
				return err
			}
			return t.print(convert(list, recordEvent), func() string {
				return table([]string{"TIME", "BY", "PROPERTY", "OLD", "NEW", "NOTE"}, convert(list, eventRow))
			})
		},
	}
	cmd.Flags().IntVar(&most, "max", 50, "how many changes to show")
	return cmd
}

func (t *tool) history(ctx context.Context, c cloud, prefixes []string, most int) ([]mallee.PropertyEvent, error) {
	list, err := call(ctx, func(ctx context.Context) ([]mallee.PropertyEvent, error) {
		return c.PropertyHistory(ctx, prefixes, most)
	})
	if err != nil {
		return nil, failure("show the history of properties", "", err)
	}
	return list, nil
}

func eventRow(e mallee.PropertyEvent) []string {
	return []string{e.Time.UTC().Format(time.RFC3339), e.AccessKey, e.Name, e.OldValue, e.Value, eventNote(e)}
}

func eventNote(e mallee.PropertyEvent) string {
	var notes []string
	if e.Reset {
		notes = append(notes, "reset")
	}
	if e.Forced {
		notes = append(notes, "forced")
	}
	return strings.Join(notes, ",")
}
