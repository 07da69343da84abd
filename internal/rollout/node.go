// SPDX-License-Identifier: Apache-2.0

package rollout

import "time"

// node is one that is connected.
type node struct {
	busy    bool
	told    string
	at      time.Time // when it was told, or has connected
	changed bool      // it was told in place of another list
	had     bool      // it reached paths of the list before, or nobody knows
	report  Report    // the latest; of no list until there is one
	logged  bool      // what has become of it
}

func (n *node) tell(list string, now time.Time) {
	// Of a list that has cost it every path it keeps the paths that it had before.
	if n.looked() && (n.report.Possible > 0 || !n.changed) {
		n.had = n.report.Possible > 0
	}
	n.told, n.at, n.changed, n.logged = list, now, true, false
}

// heard reports whether it has told of the list that it was told.
func (n *node) heard() bool { return n.report.Paths == n.told }

// looked reports whether it has told of the list's paths, too.
func (n *node) looked() bool { return n.heard() && n.report.Looked > 0 }

// lost reports whether it had paths and reaches none of the list's.
func (n *node) lost() bool { return n.looked() && n.had && n.report.Possible == 0 }

// settled reports whether nothing is left to do. One that has lost every path may
// say so too, since it keeps its old ones as long as it finds no new one.
func (n *node) settled() bool { return n.heard() && n.report.Settled && !n.lost() }

// left returns how long others wait for it.
func (n *node) left(now time.Time) time.Duration { return n.at.Add(Patience).Sub(now) }

// moves reports whether it takes a slot. One that connects with the list may be
// moving to it since before the cloud controller was started.
func (n *node) moves(want string, now time.Time) bool {
	return n.busy && !n.settled() && (n.changed || n.told == want) && n.left(now) > 0
}

// toLose reports whether it has paths as far as anybody knows.
func (n *node) toLose() bool { return !n.looked() || n.report.Possible > 0 }
