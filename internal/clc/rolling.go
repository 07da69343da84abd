// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/pathcheck"
	"github.com/mallee-io/mallee/internal/rollout"
)

// run has the changes of ncpaths go on until ctx ends.
func (s *sites) run(ctx context.Context, f *feed) {
	for {
		v, renewed := f.current()
		var due <-chan time.Time
		if next := s.step(v, time.Now()); next > 0 {
			due = time.After(next)
		}
		select {
		case <-ctx.Done():
			return
		case <-renewed:
		case <-s.news:
		case <-due:
		}
	}
}

// gather is how long the nodes may take to connect after the cloud controller was
// started, before a change goes on without them: a lost connection is found within
// this time.
const gather = 15 * time.Second

// step has the changes go on as far as they may, and returns when to call it again
// though nothing has happened; 0 for never.
func (s *sites) step(v *view, now time.Time) (next time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gathering := s.started.Add(gather).Sub(now)
	for partition, change := range s.rollouts {
		busy := func(name string) bool { return len(v.byInstance[v.nodes[name].InstanceID]) > 0 }
		hold := gathering > 0 && s.absent(v, partition)
		told, again := change.Step(v.settings(partition)[ncPaths], busy, hold, now)
		for _, name := range told {
			wake(s.stations[memberID(mallee.RoleNC, name)].woken)
		}
		if hold {
			again = rollout.Sooner(again, gathering)
		}
		next = rollout.Sooner(next, again)
	}
	return next
}

// absent reports whether a node of a partition has attachments and no stream.
func (s *sites) absent(v *view, partition string) bool {
	for instance := range v.byInstance {
		if name, r, found := v.node(instance); found && r.Partition == partition && s.stations[memberID(mallee.RoleNC, name)] == nil {
			return true
		}
	}
	return false
}

// changing says how far a change of ncpaths has come that is under way, or that
// some node has not done; nothing when there is nothing to say.
func (s *sites) changing(partition string) (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change := s.rollouts[partition]
	if change == nil {
		return nil
	}
	p := change.Progress(time.Now())
	if p.Halted {
		lines = append(lines, fmt.Sprintf("the change of ncpaths is halted: none of the %d nodes that were told the list reaches any of its paths; "+
			"%d keep the one before", p.Told, p.Nodes-p.Told))
	} else if p.Told < p.Nodes {
		lines = append(lines, fmt.Sprintf("the change of ncpaths has come to %d of %d nodes", p.Told, p.Nodes))
	}
	if len(p.Unsettled) > 0 {
		lines = append(lines, "not settled for the list that they were told: "+pathcheck.Names(p.Unsettled))
	}
	return lines
}
