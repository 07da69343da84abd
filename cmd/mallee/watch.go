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
	ticker := time.NewTicker(t.patience.watch)
	defer ticker.Stop()
	var last string
	silent := false
	for first := true; ; first = false {
		r, err := look(ctx)
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
			var b bytes.Buffer
			if err := t.write(&b, r.record, r.text); err != nil {
				return err
			}
			// The screen is drawn anew also over the word that the cloud was away.
			if now := b.String(); first || now != last || silent {
				if err := t.redraw(now, first, first || now != last); err != nil {
					return err
				}
				last, silent = now, false
			}
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
