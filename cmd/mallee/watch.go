// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
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
				if err := t.redraw(now, now != last || first); err != nil {
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
func (t *tool) redraw(text string, changed bool) error {
	var err error
	switch {
	case t.columns(t.stdout) > 0 && t.output == "text":
		// Each line is cleared after its end, the screen after the last: to clear
		// it first would flicker.
		_, err = fmt.Fprint(t.stdout, "\x1b[H", strings.ReplaceAll(text, "\n", "\x1b[K\n"), "\x1b[J")
	case !changed:
	case t.output == "yaml":
		_, err = fmt.Fprint(t.stdout, "---\n", text)
	case t.output == "json":
		_, err = fmt.Fprint(t.stdout, text)
	default:
		_, err = fmt.Fprintf(t.stdout, "%s\n%s\n", time.Now().UTC().Format(time.RFC3339), text)
	}
	return err
}
