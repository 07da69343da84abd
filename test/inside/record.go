// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/test/hands"
)

// recorder is a log handler that keeps what the connector tells, with its time, and
// counts the processes that it starts: internal/command, the one place that does,
// logs each. What malleed would log, it passes on.
type recorder struct {
	slog.Handler
	mu      sync.Mutex
	started int
	lines   []line
}

// line is one line of the log.
type line struct {
	at   time.Time
	text string
}

// kept is how many lines are kept.
const kept = 4096

// Enabled takes all, to count.
func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps a line.
func (r *recorder) Handle(ctx context.Context, record slog.Record) error {
	var text strings.Builder
	text.WriteString(record.Message)
	record.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&text, " %s", a)
		return true
	})
	r.mu.Lock()
	if record.Message == "program ended" {
		r.started++
	}
	if len(r.lines) == kept {
		r.lines = append(r.lines[:0], r.lines[kept/2:]...)
	}
	r.lines = append(r.lines, line{record.Time, text.String()})
	r.mu.Unlock()
	if !r.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return r.Handler.Handle(ctx, record)
}

// mark is a moment that later ones are compared with.
type mark struct {
	at time.Time
	hands.Started
}

func (r *recorder) mark() mark {
	r.mu.Lock()
	ours := r.started
	r.mu.Unlock()
	return mark{time.Now(), hands.Started{Ours: ours, System: begun(), CPU: onCPU()}}
}

// since returns the processes started and the lines logged since m.
func (r *recorder) since(m mark) (hands.Started, []hands.Event) {
	now := r.mark()
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []hands.Event
	for _, l := range r.lines {
		if !l.at.Before(m.at) {
			events = append(events, hands.Event{After: l.at.Sub(m.at), Text: l.text})
		}
	}
	return hands.Started{Ours: now.Ours - m.Ours, System: now.System - m.System, CPU: now.CPU - m.CPU}, events
}

// begun returns how many processes and threads the machine has ever started.
func begun() int {
	stat, _ := os.ReadFile("/proc/stat")
	for line := range strings.Lines(string(stat)) {
		if count, ok := strings.CutPrefix(line, "processes "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(count))
			return n
		}
	}
	return 0
}

// onCPU returns the time that this process has spent on the CPU.
func onCPU() time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
