// SPDX-License-Identifier: Apache-2.0

package rollout

import "time"

// Step goes on with the change as far as it may. Want is the list of the
// partition, and busy tells which nodes have attachments. While it holds, no busy
// node is told another list: there may be nodes that move and have not connected
// yet. Step returns the nodes whose list has changed, and when to call it again
// although nothing has happened; 0 for never.
func (r *Rollout) Step(want string, busy func(name string) bool, hold bool, now time.Time) (told []string, next time.Duration) {
	if want != r.want {
		if !r.halted {
			r.before = r.want
		}
		r.want, r.underWay, r.halted = want, false, false
	}
	names := r.names()
	for _, name := range names {
		r.nodes[name].busy = busy(name)
	}
	next = r.judge(now)
	tell := func(name string) {
		r.tell(name, now)
		told = append(told, name)
		next = Sooner(next, Patience)
	}
	moving := 0
	var waiting []string
	for _, name := range names {
		n := r.nodes[name]
		moves := n.moves(want, now)
		if moves {
			moving++
			next = Sooner(next, n.left(now))
		}
		switch {
		case n.told == want:
			r.logOutcome(name, moves, now)
		// One that moves to a list that no longer holds is sent on: it has its slot.
		case !r.halted && (!n.busy || n.changed && moves && !hold):
			tell(name)
		default:
			waiting = append(waiting, name)
		}
	}
	if free := max(1, len(names)/share) - moving; free > 0 && !hold && !r.halted {
		for _, name := range waiting[:min(len(waiting), free)] {
			tell(name)
		}
	}
	r.end(now)
	return told, next
}

// judge tells whether the change is halted, and when to look again.
func (r *Rollout) judge(now time.Time) (next time.Duration) {
	lost, reached, toLose := 0, 0, 0
	for _, n := range r.nodes {
		left := n.at.Add(lookTime).Sub(now)
		switch {
		case n.told != r.want && n.toLose():
			toLose++
		case n.told != r.want, !n.heard():
		case !n.lost():
			reached += min(1, n.report.Possible)
		case left > 0:
			next = Sooner(next, left)
		default:
			lost++
		}
	}
	was := r.halted
	// A node that has lost every path may lose its connection as well, or open a new
	// one: each time another would be told the list.
	if lost > 0 {
		r.goneAt = time.Time{}
	} else if was && r.goneAt.IsZero() {
		r.goneAt = now
	}
	left := r.goneAt.Add(Patience).Sub(now)
	r.halted = (lost > 0 || was && left > 0) && reached == 0 && toLose > 0
	if r.halted && lost == 0 {
		next = Sooner(next, left)
	}
	if r.halted && !was {
		r.log.Error("ncpaths change is halted: no node that has the list reaches any of its paths",
			"ncpaths", r.want, "nodes", len(r.nodes), "nodes_lost", lost, "nodes_kept", toLose,
			"hint", "set ncpaths right, or to what it was")
	}
	return next
}

func (r *Rollout) tell(name string, now time.Time) {
	if !r.underWay {
		r.underWay, r.began = true, now
		p := r.Progress(now)
		r.log.Info("ncpaths change begins", "ncpaths", r.want, "nodes", p.Nodes, "to_change", p.Nodes-p.Told, "at_once", max(1, p.Nodes/share))
	}
	n := r.nodes[name]
	n.tell(r.want, now)
	if n.busy { // of the others there may be thousands at once
		r.log.Info("ncpaths change has come to node", "node", name, "ncpaths", r.want)
	}
}

// logOutcome says once what has become of a busy node.
func (r *Rollout) logOutcome(name string, moves bool, now time.Time) {
	n := r.nodes[name]
	if n.logged || !n.busy || !n.changed || moves {
		return
	}
	n.logged = true
	if n.settled() {
		r.log.Info("node has settled for the new ncpaths", "node", name, "ncpaths", r.want, "duration", now.Sub(n.at))
		return
	}
	r.log.Warn("node has not settled for the new ncpaths: others no longer wait for it",
		"node", name, "ncpaths", r.want, "duration", now.Sub(n.at), "paths_possible", n.report.Possible)
}

// end notes that the change is complete.
func (r *Rollout) end(now time.Time) {
	if p := r.Progress(now); r.underWay && !p.Changing {
		r.log.Info("ncpaths change is complete", "ncpaths", r.want, "nodes", p.Nodes, "unsettled", len(p.Unsettled), "duration", now.Sub(r.began))
		r.underWay = false
	}
}

// Sooner returns the shorter of two waits as Step returns them: 0 is none.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
