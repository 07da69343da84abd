// SPDX-License-Identifier: Apache-2.0

// Package rollout brings a new list of paths to the nodes of a partition, a few
// at a time.
//
// A node is told a list when it is decided which one it is sent. It is busy while
// it has attachments, and settled when it reports that nothing is left to add or
// to remove for the list that it was told. A busy node moves from when it is told
// a new list until it has settled, or has had Patience for it: so many may move at
// once as there are slots. A change is halted while no node that was told the new
// list, and has had time to look, reaches any of its paths, and others have
// something to lose: a mistake then comes to a few nodes and not to all. It stays
// halted for Patience when those are gone who have found that out.
//
// Nothing is stored: which list a node works with it says itself, when it connects
// and in its reports.
package rollout

import (
	"log/slog"
	"maps"
	"slices"
	"time"
)

const (
	// Patience is for how long a node that does not settle keeps others waiting.
	// It is longer than a login to a portal that is slow.
	Patience = 2 * time.Minute
	// lookTime is how long a node may take to find a path of a new list: it has
	// names to look up and neighbours to ask.
	lookTime = 20 * time.Second
	// Of the live nodes one in share may move at once; a single one always may.
	share = 10
)

// Report is what a node tells of itself.
type Report struct {
	Paths   string // the list that it works with
	Settled bool   // for that list
	// Looked is how many of its paths the node has looked for, and Possible how
	// many of them can be reached; see mallee.Site.Possible.
	Looked, Possible int
}

// Rollout is the change of the list of one partition. It is not safe for
// concurrent use, and has no clock: each call is told the time.
type Rollout struct {
	log *slog.Logger

	want     string // the list of the partition
	before   string // the last one that was not halted, or that a node came with; "" when none is known
	underWay bool   // a node has been told want in place of another list, and not all are done
	began    time.Time
	halted   bool
	goneAt   time.Time // when it was first halted without a node that has lost every path; zero while there is one
	nodes    map[string]*node
}

// New returns the rollout of a partition with a list, in which no node is
// connected. Log gets a line when a change begins, comes to a node, is halted and
// is complete.
func New(want string, log *slog.Logger) *Rollout {
	return &Rollout{want: want, log: log, nodes: map[string]*node{}}
}

// Connect tells that a node has connected that works with a list, or with none
// since it has just been started.
func (r *Rollout) Connect(name, works string, busy bool, now time.Time) {
	n := &node{told: works, busy: busy, at: now, had: true}
	r.nodes[name] = n
	if r.before == "" && works != r.want {
		r.before = works // after a restart nobody else tells
	}
	switch {
	case works == "" && r.halted && r.before != "":
		n.told = r.before
	case works == "" || !busy && !r.halted:
		n.told = r.want
	}
}

// Disconnect tells that a node has lost its connection.
func (r *Rollout) Disconnect(name string) { delete(r.nodes, name) }

// Report takes what a node tells of itself, and returns whether that is new.
func (r *Rollout) Report(name string, report Report) (news bool) {
	n := r.nodes[name]
	if n == nil || n.report == report {
		return false
	}
	n.report = report
	return true
}

// List returns the list that a node has been told; "" if it is not connected.
func (r *Rollout) List(name string) string {
	if n := r.nodes[name]; n != nil {
		return n.told
	}
	return ""
}

// Progress is how far a list has come.
type Progress struct {
	Nodes     int      // that are connected
	Told      int      // of them, that were told the list
	Unsettled []string // of those, the busy ones that have not settled, in order
	Halted    bool
	// Changing is true until all were told, and have settled or had their time.
	Changing bool
}

// Progress returns how far the list of the partition has come.
func (r *Rollout) Progress(now time.Time) Progress {
	p := Progress{Nodes: len(r.nodes), Halted: r.halted}
	for name, n := range r.nodes {
		if n.told != r.want {
			p.Changing = true
			continue
		}
		p.Told++
		if n.busy && !n.settled() {
			p.Unsettled = append(p.Unsettled, name)
			p.Changing = p.Changing || n.left(now) > 0
		}
	}
	slices.Sort(p.Unsettled)
	return p
}

// names returns who is connected, in order.
func (r *Rollout) names() []string { return slices.Sorted(maps.Keys(r.nodes)) }
