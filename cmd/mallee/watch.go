// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

// result is what a command prints: a record for programs, text for people.
type result struct {
	record any
	text   func() string
}

func watchFlag(cmd *cobra.Command, watch *bool) {
	cmd.Flags().BoolVarP(watch, "watch", "w", false, "print again when something has changed, until Ctrl-C")
}

// show prints what look returns: once, or each time that it changed until ctx ends.
//
// On a terminal what was there is drawn over. Else each change is a block of its
// own: text after a line with the time, JSON and YAML as a document. A cloud that
// does not answer, once it has, is told of and waited for.
func (t *tool) show(ctx context.Context, watch bool, look func(context.Context) (result, error)) error {
	if !watch {
		r, err := look(ctx)
		if err != nil {
			return err
		}
		return t.print(r.record, r.text)
	}
	var last string
	first := true
	return t.follow(ctx, func(ctx context.Context, resumed bool) error {
		r, err := look(ctx)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.write(&b, r.record, r.text); err != nil {
			return err
		}
		now := b.String()
		changed := first || now != last
		// The screen is drawn anew also over the word that the cloud was away.
		if changed || resumed {
			if err := t.redraw(now, first, changed); err != nil {
				return err
			}
		}
		last, first = now, false
		return nil
	})
}

// follow looks again and again, until ctx ends or a look fails. A cloud that does not
// answer, once it has, is told of and waited for; the look after that is told that
// the watch is resumed.
func (t *tool) follow(ctx context.Context, look func(ctx context.Context, resumed bool) error) error {
	ticker := time.NewTicker(t.patience.watch)
	defer ticker.Stop()
	silent := false
	for first := true; ; first = false {
		err := look(ctx, silent)
		switch {
		case ctx.Err() != nil:
			return nil // the person has seen enough
		case !first && kindOf(err) == mallee.Unavailable:
			if !silent {
				fmt.Fprintln(t.stderr, "mallee: the cloud does not answer; waiting for it")
			}
			silent = true
		case err != nil:
			return err
		default:
			silent = false
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// redraw shows text in place of what was shown before.
func (t *tool) redraw(text string, first, changed bool) error {
	var err error
	switch _, rows := t.screen(t.stdout); {
	case rows > 0 && t.output == "text":
		text = head(text, rows-1)
		if first {
			text = "\x1b[2J\x1b[H" + text
		} else {
			// Each line is cleared behind its end, and the screen below the last:
			// to clear all of it first would flicker.
			text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
		}
		_, err = io.WriteString(t.stdout, text)
	case !changed:
	case t.output == "yaml":
		_, err = io.WriteString(t.stdout, "---\n"+text)
	case t.output == "json":
		_, err = io.WriteString(t.stdout, text)
	default:
		_, err = fmt.Fprintf(t.stdout, "%s\n%s\n", time.Now().UTC().Format(time.RFC3339), text)
	}
	return err
}

// head returns text as at most n lines, of which the last tells how many are left out.
func head(text string, n int) string {
	lines := slices.Collect(strings.Lines(text))
	if len(lines) <= n {
		return text
	}
	n = max(n-1, 0)
	return strings.Join(lines[:n], "") + fmt.Sprintf("... %d more lines\n", len(lines)-n)
}
