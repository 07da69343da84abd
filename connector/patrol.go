// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
)

// A patrol asks disks that carry I/O again who they are: an array may put something
// else behind a LUN, and tells of it only in answer to the next command to another
// LUN of the session, if at all (seen with LIO). It asks those first whose proof is
// oldest. With up to 48 paths each is asked every two seconds; with a thousand every
// 43, so that an idle machine stays idle.
const (
	patrolInterval = time.Second
	patrolAsks     = 24 // at most, in an interval
	patrolAtOnce   = 8  // a path that has just died answers after inquiryTimeout
	patrolAge      = 2 * time.Second
)

// beat is a disk that a patrol asks.
type beat struct {
	wwid  string
	state *volume
	probe *probe
	disk  block.Disk
	at    time.Time // of its last proof
}

func (c *Connector) patrol(ctx context.Context) error {
	tick := time.NewTicker(patrolInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			c.walk(ctx)
		}
	}
}

// walk asks the disks whose turn it is. Of one that does not answer as it should,
// Repair finds out what it is.
func (c *Connector) walk(ctx context.Context) {
	now, err := c.looks.get(ctx)
	if err != nil {
		return // Repair tells
	}
	beats := c.beats(now)
	slices.SortFunc(beats, func(a, b beat) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.disk.Name, b.disk.Name)) })
	var g errgroup.Group
	g.SetLimit(patrolAtOnce)
	for _, b := range beats[:min(len(beats), patrolAsks)] {
		g.Go(func() error {
			wwid, err := c.disks.WWID(b.disk.Name, inquiryTimeout)
			if err == nil && wwid != b.wwid {
				err = &refusal{reason: fmt.Sprintf("LUN %d has identity %s, not %s", b.disk.LUN, wwid, b.wwid), stays: true}
			}
			if !b.state.probes.confirm(b, err) {
				b.state.news.Send()
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}

// beats returns the disks that have proved what they are, are in their map, and can
// be asked.
func (c *Connector) beats(now *view) []beat {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []beat
	for wwid, state := range c.volumes {
		list = append(list, state.probes.beats(wwid, state, now)...)
	}
	return list
}

func (ps *probes) beats(wwid string, state *volume, now *view) []beat {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closed {
		return nil
	}
	var list []beat
	for session, p := range ps.session {
		if p.running || !p.proven() || time.Since(p.at) < patrolAge {
			continue
		}
		d, ok := now.byNumber[[2]uint32{p.disk.Major, p.disk.Minor}]
		if ok && d.Name == p.disk.Name && d.session.ID == session && d.session.LoggedIn() && d.MapUUID == multipath.UUIDPrefix+wwid && d.WWID == wwid {
			list = append(list, beat{wwid, state, p, d.Disk, p.at})
		}
	}
	return list
}

// confirm notes what a disk has answered, unless it was looked at since, and reports
// whether nobody need look now. The proof of one that has answered as another is void
// at once.
func (ps *probes) confirm(b beat, err error) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch _, wrong := errors.AsType[*refusal](err); {
	case b.probe.running || !b.probe.at.Equal(b.at):
		return true
	case err == nil:
		b.probe.at = time.Now()
		return true
	case wrong:
		b.probe.err, b.probe.wrong = err, true
	}
	b.probe.hurry = true
	return false
}
