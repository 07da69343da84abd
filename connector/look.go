// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// viewFor is how long a view of a machine is good on which nothing happens: the
// kernel tells of every change of what is in it, and this is for what it does not.
const viewFor = 5 * time.Minute

// view is what one look at the machine has found. All volumes share it, and
// nobody changes it.
type view struct {
	sessions []openiscsi.Session
	disks    map[int][]block.Disk // of each session, by its number
	byNumber map[[2]uint32]found  // the same disks
	maps     map[string]dm.Map    // by UUID
	daemon   error                // why multipathd does not answer
}

// goodFor returns how long v is good while nothing changes. Nobody tells when a
// multipathd that did not answer does again, and without one no map is made.
func (v *view) goodFor() time.Duration {
	if v.daemon != nil {
		return retryInterval / 2
	}
	return viewFor
}

// found is a disk and the session that carries it.
type found struct {
	block.Disk
	session openiscsi.Session
}

// looks are the looks at the machine. With hundreds of volumes each event makes
// all of them want to look, and one look does for all that wait for it.
type looks struct {
	take func() (*view, error)
	turn chan struct{} // holds one token during a look, which guards last and what follows it

	mu        sync.Mutex
	listening bool   // events come, and make changes count
	changes   uint64 // that have been heard of

	last *view
	at   time.Time     // when the last look began
	debt time.Duration // that looks have taken, less the time between them up to paid
	paid time.Time
	seen uint64 // changes when it began
}

// Looks take no more than half of the time, so that in a storm more callers share
// each. But an attach that is alone needs a few in a row at once, which may take
// burstTakes together. longestPause bounds the pause between two.
const (
	burstTakes   = 100 * time.Millisecond
	longestPause = 200 * time.Millisecond
)

func newLooks(take func() (*view, error)) *looks {
	return &looks{take: take, turn: make(chan struct{}, 1)}
}

// changed makes the next caller of get look anew.
func (l *looks) changed() {
	l.mu.Lock()
	l.changes++
	l.mu.Unlock()
}

func (l *looks) listen(on bool) {
	l.mu.Lock()
	l.listening = on
	l.changes++
	l.mu.Unlock()
}

// get returns a view that began to be taken after the last change, or after the
// call while nobody listens for changes.
func (l *looks) get(ctx context.Context) (*view, error) {
	l.mu.Lock()
	changes, listening := l.changes, l.listening
	if !listening {
		l.changes++ // whoever calls later needs a later look
		changes = l.changes
	}
	l.mu.Unlock()

	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.turn }()
	if l.last != nil && l.seen >= changes && time.Since(l.at) < l.last.goodFor() {
		return l.last, nil
	}
	if pause := l.owes() - burstTakes; pause > 0 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	l.mu.Lock()
	l.seen = l.changes
	l.mu.Unlock()
	l.owes()
	l.at = time.Now()
	v, err := l.take()
	l.paid = time.Now()
	l.debt = min(l.debt+l.paid.Sub(l.at), burstTakes+longestPause)
	if err != nil {
		l.last = nil
		return nil, err
	}
	l.last = v
	return v, nil
}

// owes returns for how long nobody should look, so that looks take half of the time.
func (l *looks) owes() time.Duration {
	now := time.Now()
	l.debt = max(0, l.debt-now.Sub(l.paid))
	l.paid = now
	return l.debt
}

// takeView looks at the machine.
func (c *Connector) takeView() (*view, error) {
	v := &view{disks: map[int][]block.Disk{}, byNumber: map[[2]uint32]found{}, maps: map[string]dm.Map{}}
	var err error
	if v.sessions, err = c.initiator.Sessions(); err != nil {
		return nil, err
	}
	for _, s := range v.sessions {
		if v.disks[s.ID], err = c.disks.SessionDisks(s.ID); err != nil {
			return nil, err
		}
		for _, d := range v.disks[s.ID] {
			v.byNumber[[2]uint32{d.Major, d.Minor}] = found{d, s}
		}
	}
	all, err := c.maps.Maps(multipath.UUIDPrefix)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		v.maps[m.UUID] = m
	}
	ctx, cancel := context.WithTimeout(context.Background(), multipath.DefaultTimeout)
	defer cancel()
	v.daemon = c.daemon.Ping(ctx)
	return v, nil
}

// changed notes that something of the machine has changed, or that it may have,
// and wakes everybody who waits.
func (c *Connector) changed() {
	c.looks.changed()
	c.wakeAll()
}

// mapOf returns the kernel's map of an identity; its Name is empty if there is none.
func (v *view) mapOf(wwid string) dm.Map { return v.maps[multipath.UUIDPrefix+wwid] }

// disk returns the disk at a LUN of a session.
func (v *view) disk(session int, lun uint16) (block.Disk, bool) {
	for _, d := range v.disks[session] {
		if d.LUN == uint64(lun) {
			return d, true
		}
	}
	return block.Disk{}, false
}

// carrying returns the disks of our sessions that are in a map, and of each whether
// it carries I/O.
func (v *view) carrying(m dm.Map) map[string]bool {
	list := map[string]bool{}
	for _, p := range m.Paths {
		if d, ok := v.byNumber[[2]uint32{p.Major, p.Minor}]; ok {
			list[d.Name] = p.Active && d.session.LoggedIn()
		}
	}
	return list
}
