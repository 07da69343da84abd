// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"maps"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
)

// condemnStray is condemn for a stray; what was found of the same disk when it was an
// expected path is void, too.
func (ps *probes) condemnStray(disk string, p *probe, err error) {
	ps.condemn(p, err)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, of := range ps.session {
		if of.disk.Name == disk && !of.running {
			of.err, of.wrong = err, true
		}
	}
}

// proveStrays has every disk in v's map that is none of its expected paths prove
// its identity too: multipathd takes back a disk whose LUN has become another's
// without looking. Disks of sessions that are not ours are not ours to judge.
func (c *Connector) proveStrays(ctx context.Context, state *volume, v Volume, now *view, m dm.Map, expected []Path) {
	known := map[string]bool{}
	for _, p := range expected {
		known[p.Disk] = true
	}
	strays := map[string]found{}
	for _, p := range m.Paths {
		if d, ok := now.byNumber[[2]uint32{p.Major, p.Minor}]; ok && !known[d.Name] && d.session.LoggedIn() {
			strays[d.Name] = d
		}
	}
	state.probes.forgetStrays(strays)
	ctx = context.WithoutCancel(ctx)
	for _, d := range strays {
		state.probes.startStray(d.Name, v.SizeBytes, func(condemn func(error)) (block.Disk, bool, error) {
			if err := c.proveStray(ctx, v, d.session, d.Disk, condemn); err != nil {
				r, wrong := errors.AsType[*refusal](err)
				if wrong {
					state.probes.exclude(d.session, err)
				}
				if wrong && !r.stays {
					return block.Disk{}, true, err
				}
				return d.Disk, wrong, err
			}
			disk, err := c.remeasure(d.Disk, v.SizeBytes)
			return disk, false, err
		}, state.news.Send)
	}
}

// forgetStrays drops what was found of disks that are no strays now: they may be
// expected by now, and what gets their names is another disk.
func (ps *probes) forgetStrays(now map[string]found) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	maps.DeleteFunc(ps.stray, func(disk string, p *probe) bool {
		_, stays := now[disk]
		return !stays && !p.running
	})
}

func (ps *probes) startStray(disk string, size uint64, look func(condemn func(error)) (block.Disk, bool, error), wake func()) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.stray == nil {
		ps.stray = map[string]*probe{}
	}
	if _, runs := ps.drops[disk]; runs {
		return
	}
	p := ps.stray[disk]
	// A name is given anew: a verdict on a disk that was removed is void. That on one
	// that could not be removed stands until the next look is due, or each look would
	// make the next.
	if p == nil || p.wrong && p.disk.Name == "" && !p.running {
		p = &probe{}
		ps.stray[disk] = p
	}
	p.shall(size)
	ps.start(p, func() (block.Disk, bool, error) {
		return look(func(err error) { ps.condemnStray(disk, p, err) })
	}, func(*probe) { wake() })
}
