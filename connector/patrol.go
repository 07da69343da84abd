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

// beat is a path whose disk a patrol asks.
type beat struct {
	wwid    string
	session int
	state   *volume
	probe   *probe
	at      time.Time // of its last proof
}

func (c *Connector) patrol(ctx context.Context) error {
	tick := time.NewTicker(patrolInterval)
	defer tick.Stop()
	var list []beat
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			list = c.walk(ctx, list[:0])
		}
	}
}

// walk asks the disks whose turn it is. Of one that does not answer as it should,
// Repair finds out what it is.
// It writes the list of all that are due into buffer, for the next one: making a
// thousand of them each second costs more than asking some.
func (c *Connector) walk(ctx context.Context, buffer []beat) []beat {
	now, err := c.looks.get(ctx)
	if err != nil {
		return buffer // Repair tells
	}
	due := c.due(buffer)
	slices.SortFunc(due, func(a, b beat) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.wwid, b.wwid), cmp.Compare(a.session, b.session))
	})
	var g errgroup.Group
	g.SetLimit(patrolAtOnce)
	asked := 0
	for _, b := range due {
		disk, ok := b.asks(now)
		if !ok {
			continue
		}
		if asked++; asked > patrolAsks {
			break
		}
		g.Go(func() error {
			wwid, err := c.disks.WWID(disk.Name, inquiryTimeout)
			if err == nil && wwid != b.wwid {
				err = &refusal{reason: fmt.Sprintf("LUN %d has identity %s, not %s", disk.LUN, wwid, b.wwid), stays: true}
			}
			if !b.state.probes.confirm(b, err) {
				b.state.news.Send()
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	return due
}

// due appends the paths that have proved what they are, and not just now.
func (c *Connector) due(list []beat) []beat {
	before := time.Now().Add(-patrolAge)
	c.mu.Lock()
	defer c.mu.Unlock()
	for wwid, state := range c.volumes {
		list = state.probes.due(list, wwid, state, before)
	}
	return list
}

func (ps *probes) due(list []beat, wwid string, state *volume, before time.Time) []beat {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closed {
		return list
	}
	for session, p := range ps.session {
		if !p.running && p.proven() && !p.at.After(before) {
			list = append(list, beat{wwid, session, state, p, p.at})
		}
	}
	return list
}

// asks returns the disk of a path if it is in its map, and can be asked.
func (b beat) asks(now *view) (disk block.Disk, ok bool) {
	b.state.probes.mu.Lock()
	disk = b.probe.disk
	b.state.probes.mu.Unlock()
	d, ok := now.byNumber[[2]uint32{disk.Major, disk.Minor}]
	return d.Disk, ok && d.Name == disk.Name && d.session.ID == b.session && d.session.LoggedIn() &&
		d.MapUUID == multipath.UUIDPrefix+b.wwid && d.WWID == b.wwid
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
