// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mallee-io/mallee/test/hands"
)

// processes counts the processes that this program starts: internal/command, the
// one place that does, logs each.
type processes struct {
	slog.Handler
	ours atomic.Int64
}

// Handle counts and passes on.
func (p *processes) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "program ended" {
		p.ours.Add(1)
	}
	return p.Handler.Handle(ctx, r)
}

// now returns how many have begun so far.
func (p *processes) now() hands.Started {
	return hands.Started{Ours: int(p.ours.Load()), System: begun()}
}

// since returns how many have begun since.
func (p *processes) since(then hands.Started) hands.Started {
	now := p.now()
	return hands.Started{Ours: now.Ours - then.Ours, System: now.System - then.System}
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
