// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

// watchedEvents is how many changes are asked for at first; more only when as many
// were made between two looks.
const watchedEvents = 100

func (t *tool) propertyWatch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [PREFIX]...",
		Short: "Print each change of a property as it is made",
		Long: `Print each change of a property as it is made, of all or of those whose names begin
so, until Ctrl-C: a line each, with --output json an object on a line of its own. A
cloud that does not answer is waited for; what was changed meanwhile is printed then.`,
		Example: "  mallee property watch\n  mallee property watch PARTI00.storage --output json",

		ValidArgsFunction: t.arguments(true, propertyWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			w := propertyWatcher{t: t, c: c, prefixes: args, seen: map[eventKey]bool{}}
			return t.follow(cmd.Context(), w.look)
		},
	}
}

// eventKey tells changes apart: a call changes a property once.
type eventKey struct {
	request mallee.RequestID
	name    string
}

// propertyWatcher prints the changes that it has not seen.
type propertyWatcher struct {
	t        *tool
	c        cloud
	prefixes []string
	seen     map[eventKey]bool
	begun    bool
}

func (w *propertyWatcher) look(ctx context.Context, _ bool) error {
	news, err := w.news(ctx)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(news) {
		w.seen[eventKey{e.RequestID, e.Name}] = true
		if !w.begun {
			continue // made before the watch
		}
		if err := w.t.printEvent(e); err != nil {
			return err
		}
	}
	w.begun = true
	return nil
}

// news returns the changes since the last look, the newest first.
func (w *propertyWatcher) news(ctx context.Context) ([]mallee.PropertyEvent, error) {
	for most := watchedEvents; ; most *= 10 {
		list, err := w.t.history(ctx, w.c, w.prefixes, most)
		if err != nil {
			return nil, err
		}
		// What stands behind one that was seen is older, and was before the watch.
		i := slices.IndexFunc(list, func(e mallee.PropertyEvent) bool { return w.seen[eventKey{e.RequestID, e.Name}] })
		switch {
		case i >= 0:
			return list[:i], nil
		case !w.begun || len(list) < most:
			return list, nil
		}
	}
}

// printEvent prints a change by itself.
func (t *tool) printEvent(e mallee.PropertyEvent) error {
	if t.output == "json" {
		return jsonLine(t.stdout, recordEvent(e))
	}
	if t.output == "yaml" {
		if _, err := io.WriteString(t.stdout, "---\n"); err != nil {
			return err
		}
	}
	return t.print(recordEvent(e), func() string {
		line := fmt.Sprintf("%s %s %s: %q -> %q", e.Time.UTC().Format(time.RFC3339), e.AccessKey, e.Name, e.OldValue, e.Value)
		if note := eventNote(e); note != "" {
			line += " (" + note + ")"
		}
		return line + "\n"
	})
}
