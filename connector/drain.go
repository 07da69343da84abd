// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// surplus is a disk of a volume on a session of ours that none of its portals
// names any more.
type surplus struct {
	session openiscsi.Session
	disk    block.Disk
	usable  bool // in the map, and carries I/O
}

// drain is the removal of surplus disks of a volume, one at a time.
type drain struct {
	mu      sync.Mutex
	running string // the disk that is being removed; empty for none
	failed  map[string]failure
}

// failure is why a disk was not removed, and until when it is left alone.
type failure struct {
	err  error
	next time.Time
}

// findSurplus returns the surplus disks of v. A disk in another map than v's is
// somebody else's, whatever its LUN is.
func findSurplus(v Volume, wanted map[openiscsi.Portal]bool, now *view, m dm.Map, carrying map[string]bool) []surplus {
	var list []surplus
	for _, s := range now.sessions {
		if wanted[anyGroup(s.Portal)] {
			continue
		}
		for _, d := range now.disks[s.ID] {
			_, inMap := carrying[d.Name]
			atLUN := s.Portal.Target == v.Target && d.LUN == uint64(v.LUN)
			ours := inMap || d.WWID == v.WWID || atLUN
			if ours && (d.Map == "" || d.Map == m.Name) {
				list = append(list, surplus{s, d, carrying[d.Name]})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b surplus) int {
		return cmp.Or(a.session.Portal.Addr.Compare(b.session.Portal.Addr), cmp.Compare(a.session.ID, b.session.ID))
	})
	return list
}

// drain takes the next step to remove list, the surplus disks of v, and adds each
// to status.
//
// Nothing goes while none of the expected paths is usable. One that carries I/O
// goes only if enough usable paths are left: as many as there were when the
// portals changed, or have come back since, or as many as are expected now if that
// is fewer.
func (c *Connector) drain(ctx context.Context, state *volume, v Volume, list []surplus, now *view, status *Status) {
	up := map[string]bool{}
	for _, p := range status.Paths {
		if p.State == PathUp {
			up[p.Disk] = true
		}
	}
	leaving := 0
	for _, s := range list {
		if s.usable {
			leaving++
		}
	}
	// Some may have been down when they were counted, which was in an outage.
	state.before = max(state.before, leaving)
	usable := len(up) + leaving
	need := max(1, min(state.before, max(v.Expected, len(v.Portals))))
	for _, unusableFirst := range []bool{true, false} {
		for _, s := range list {
			if s.usable == unusableFirst {
				continue
			}
			path := Path{
				Portal: s.session.Portal.Addr, NetDevice: s.session.Portal.NetDevice(),
				State: PathDraining, Disk: s.disk.Name,
			}
			if !s.session.LoggedIn() {
				state.probes.forget(s.session.ID)
			}
			switch {
			case len(up) == 0:
				path.Reason = "kept: none of the new paths can be used yet"
				c.keep(ctx, state, v, s, now)
			case s.usable && usable-1 < need:
				path.Reason = fmt.Sprintf("kept until more of the new paths can be used: without it %d would be usable of %d that have to be", usable-1, need)
			case !s.usable && c.stuck(s.disk):
				path.Reason = "waits until what is in flight on it has failed: the whole device would wait for that"
			case !s.usable:
				path.Reason = c.startRemoval(ctx, state, v, s, 1)
			default:
				path.Reason = c.startRemoval(ctx, state, v, s, need)
			}
			status.Paths = append(status.Paths, path)
		}
	}
}

// stuck reports whether a map holds a disk that carries no I/O any more and has some
// in flight. A map is suspended to be loaded without one of its disks, and that
// takes as long as what is in flight: a moment on a good path, and up to the
// session's or the SCSI layer's time limit on one that is dead or hangs.
func (c *Connector) stuck(d block.Disk) bool {
	n, err := c.disks.InFlight(d.Name)
	return err == nil && n > 0 && d.Map != ""
}

// keep puts a disk back into the map that has left it and is needed again.
func (c *Connector) keep(ctx context.Context, state *volume, v Volume, s surplus, now *view) {
	if !s.session.LoggedIn() || s.disk.Map != "" || s.session.Portal.Target != v.Target || s.disk.LUN != uint64(v.LUN) || state.drain.busy() {
		return
	}
	if p := c.probe(ctx, state, v, s.session, s.disk); p.err == nil && !p.at.IsZero() && p.disk.Name == s.disk.Name {
		c.inMap(ctx, state, v, now, s.session.ID, p)
	}
}
