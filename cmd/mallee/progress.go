// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

// progress tells on stderr how something comes along: on a terminal in one line
// that is drawn again, else in a line for each change.
type progress struct {
	t       *tool
	start   time.Time
	told    string
	columns int // of the terminal that holds a line of ours; 0 for none
}

func (t *tool) progress() *progress { return &progress{t: t, start: time.Now()} }

// tell says how things are. What takes no longer than the tool's patience with
// silence is not told of.
func (p *progress) tell(text string) {
	took := time.Since(p.start)
	if took < p.t.patience.silence {
		return
	}
	if columns, _ := p.t.screen(p.t.stderr); columns > 0 {
		p.columns = columns
		line := []rune(fmt.Sprintf("%s (%v)", text, took.Truncate(time.Second)))
		// A line that wraps could not be drawn over.
		fmt.Fprintf(p.t.stderr, "\r%s\x1b[K", string(line[:min(len(line), columns-1)]))
		return
	}
	if text != p.told {
		fmt.Fprintln(p.t.stderr, text)
		p.told = text
	}
}

// end clears the line.
func (p *progress) end() {
	if p.columns > 0 {
		fmt.Fprint(p.t.stderr, "\r\x1b[K")
	}
}

// during calls f, and tells on stderr what it does when it takes long.
func during[T any](t *tool, doing string, f func() (T, error)) (T, error) {
	p := t.progress()
	defer p.end()
	var value T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		value, err = f()
	}()
	ticker := time.NewTicker(t.patience.interval)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return value, err
		case <-ticker.C:
			p.tell(doing)
		}
	}
}
