// SPDX-License-Identifier: Apache-2.0

// Package pathcheck judges what a list of paths would mean for the machines of a
// partition.
//
// A look is what is known of one machine: its site, seen along the list that is
// asked about, and how many paths it has today. A machine is satisfied while as
// many paths are possible as minpaths asks for. A list is refused for a machine
// that is satisfied today and would not be; everything else that an admin should
// know is a warning.
package pathcheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

// Look is what is known of one machine.
type Look struct {
	// Site has the reach of the list that is asked about. It is empty unless the
	// machine is live and has answered.
	Site mallee.Site
	// Today is how many paths are possible of the list that it works with.
	Today int
	// Problem says why a live machine has not answered; empty when it has.
	Problem string
}

func (l Look) answered() bool { return l.Site.Live && l.Problem == "" }

// Question is what is asked.
type Question struct {
	Paths mallee.Paths // the list, for what is wrong with it wherever one looks
	// MinToday is how many paths a machine needs today, and Min how many it would.
	MinToday, Min int
	// Rule says in front of Min who asks for them: "storage.minpaths asks for".
	Rule string
	// Advertised are the portals of the SAN, "address:port"; none when they are not known.
	Advertised []string
}

// Judge tells for which machines the list would not do, and what else there is to
// know. Looks are in the order in which machines are to be named.
func Judge(q Question, looks []Look) (refused, warnings []string) {
	var w ledger
	answers := 0
	for _, l := range looks {
		name := l.Site.Name
		switch {
		case !l.Site.Live:
			w.add(name, "not connected, so that nobody can tell what the list means there: %s", who)
			continue
		case !l.answered():
			w.add(name, "%s: %s", who, l.Problem)
			continue
		}
		answers++
		for _, text := range l.Site.Warnings {
			w.add(name, "%s: %s", who, text)
		}
		possible, all := l.Site.Possible(), len(l.Site.Reach)
		switch few := fmt.Sprintf("%d of %d paths, %s %d", possible, all, q.Rule, q.Min); {
		case possible >= q.Min:
		case q.Paths.Any && all == 0:
			w.add(name, "the portals of the SAN are not known, so that nobody can tell what %s means on %s", mallee.NoPath, who)
		case l.Today >= q.MinToday:
			refused = append(refused, name+": "+few)
		default:
			w.add(name, "%s: %s; it has too few today, too", who, few)
		}
	}
	if answers == 0 {
		w.add("", "nobody could look: no machine that the list is for has answered")
	}
	missing(&w, looks, answers)
	w.unadvertised(q.Advertised, looks)
	return refused, w.lines()
}

// missing warns of paths that do not lead anywhere on some machines.
func missing(w *ledger, looks []Look, answers int) {
	without := map[string]int{} // how many machines do not reach a path
	for _, l := range looks {
		for _, r := range l.Site.Reach {
			if r.State == mallee.Unreachable {
				without[pathOf(r)]++
			}
		}
	}
	for _, l := range looks {
		for _, r := range l.Site.Reach {
			switch {
			case r.State == mallee.Unresolved:
				w.add(l.Site.Name, "%s leads nowhere on %s: %s", r.Text, who, r.Reason)
			case r.State == mallee.Unreachable && without[pathOf(r)] == answers && answers > 1:
				w.add(l.Site.Name, "no machine reaches %s", pathOf(r))
			case r.State == mallee.Unreachable:
				w.add(l.Site.Name, "%s is not reached from %s", pathOf(r), who)
			}
		}
	}
}

// pathOf names a path: its element of the list, and the portal unless the element
// says the same.
func pathOf(r mallee.Reach) string {
	if strings.Contains(r.Text, strings.TrimSuffix(r.Portal, fmt.Sprintf(":%d", mallee.ISCSIPort))) {
		return r.Text
	}
	return r.Text + " (" + r.Portal + ")"
}

// unadvertised warns of portals that the SAN does not offer.
func (w *ledger) unadvertised(advertised []string, looks []Look) {
	if len(advertised) == 0 {
		return
	}
	for _, l := range looks {
		for _, r := range l.Site.Reach {
			if r.Portal != "" && !slices.ContainsFunc(advertised, func(p string) bool { return samePortal(p, r.Portal) }) {
				w.add("", "%s is none of the SAN's portals: %s", pathOf(r), strings.Join(advertised, ", "))
			}
		}
	}
}
