// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"cmp"
	"context"
	"slices"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/pathcheck"
)

// target is a machine that a path check is about.
type target struct {
	site    mallee.Site
	station *station // nil while it has no stream

	asked *question // about the list
	today *question // about the one that it works with; nil when that is the same
}

// look asks the machines that a list is for, all at once, or one after the other
// when they are to probe. What each has today it is asked as well, in the same
// round: its last report may be older than the fault that makes an admin change
// the list.
func (s *sites) look(ctx context.Context, v *view, k check) []pathcheck.Look {
	targets := s.targets(v, k)
	looks := make([]pathcheck.Look, len(targets))
	if k.probe {
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		for i := range targets {
			looks[i] = s.lookOne(ctx, &targets[i], k)
		}
		return looks
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for i := range targets {
		s.begin(&targets[i], k)
	}
	for i := range targets {
		looks[i] = s.finish(ctx, &targets[i])
	}
	return looks
}

func (s *sites) lookOne(ctx context.Context, t *target, k check) pathcheck.Look {
	if t.station != nil && ctx.Err() != nil {
		return pathcheck.Look{Site: t.site, Problem: "not asked for want of time"}
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	s.begin(t, k)
	return s.finish(ctx, t)
}

// targets returns the machines that a list is for, in the order of their names: a
// node that is not connected only if it has attachments.
func (s *sites) targets(v *view, k check) []target {
	role := mallee.RoleNC
	if k.key == scPaths {
		role = mallee.RoleSC
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []target
	for _, st := range s.stations {
		if st.site.Partition == k.partition && st.site.Role == role {
			list = append(list, target{site: st.site, station: st})
		}
	}
	for name, r := range v.nodes {
		if role == mallee.RoleNC && r.Partition == k.partition && len(v.byInstance[r.InstanceID]) > 0 &&
			s.stations[memberID(role, name)] == nil {
			list = append(list, target{site: mallee.Site{Role: role, Name: name, InstanceID: r.InstanceID, Partition: r.Partition}})
		}
	}
	slices.SortFunc(list, func(a, b target) int { return cmp.Compare(a.site.Name, b.site.Name) })
	return list
}

// begin puts the questions to a machine.
func (s *sites) begin(t *target, k check) {
	if t.station == nil {
		return
	}
	works := cmp.Or(t.site.Paths, k.present)
	list := works
	if k.value != nil {
		list = *k.value
	}
	t.asked = s.ask(t.station, list, k.probe)
	if list != works {
		t.today = s.ask(t.station, works, false)
	}
}

// finish waits for the answers of a machine.
func (s *sites) finish(ctx context.Context, t *target) pathcheck.Look {
	if t.station == nil {
		return pathcheck.Look{Site: t.site}
	}
	l := pathcheck.Look{Site: t.site, Today: t.site.Possible()}
	l.Site.Settled = l.Site.Settled && t.today == nil
	l.Site.Paths = t.asked.check.GetPaths()
	var err error
	if l.Site.Reach, l.Site.Warnings, err = t.asked.wait(ctx); err != nil {
		l.Problem = err.Error()
	}
	s.withdraw(t.asked)
	if t.today == nil {
		l.Today = l.Site.Possible()
		return l
	}
	if reach, _, err := t.today.wait(ctx); err == nil {
		l.Today = mallee.Site{Reach: reach}.Possible()
	}
	s.withdraw(t.today)
	return l
}
