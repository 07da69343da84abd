// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

const (
	inquiryTimeout = 3 * time.Second
	// provenFor is how long a proof of identity is good: an array may be
	// reconfigured under a session that never broke, and need not say so. When it
	// does, the proof is good for doubtedFor: with each volume that is attached or
	// detached the target says so of all.
	provenFor  = 90 * time.Second
	doubtedFor = time.Second
	// lunRetry is the pause before a LUN that was not there is looked for again.
	lunRetry = 2 * time.Second
	// quarantine is the pause before a LUN of another identity, whose disk was
	// removed, is looked for again.
	quarantine = 30 * time.Second
)

// probe is the search for the LUN on one session and the proof of its identity,
// or that proof of a disk alone.
type probe struct {
	lun     uint16
	running bool
	at      time.Time // when the last one ended
	disk    block.Disk
	size    uint64    // that the disk shall have at least, in bytes
	hurry   bool      // that has changed since a look began
	doubted bool      // the target has said so since a look began
	failed  bool      // the kernel has found its path bad since a look began
	addAt   time.Time // when multipathd may be asked to add the disk
	refused int       // how often it would not
	err     error
	wrong   bool // err is that of another identity
}

// pause returns how long what p has found is good.
func (p *probe) pause() time.Duration {
	r, _ := errors.AsType[*refusal](p.err)
	switch {
	case r != nil && r.twin:
		return math.MaxInt64
	case p.wrong && p.disk.Name == "":
		return quarantine
	case p.err != nil, p.disk.SizeBytes < p.size:
		return lunRetry
	case p.doubted:
		return doubtedFor
	}
	return provenFor
}

// proven reports whether the last look has shown that the disk is the volume's.
func (p *probe) proven() bool { return !p.at.IsZero() && p.err == nil }

// shall notes the size that the disk shall have: a new one is looked for at once.
func (p *probe) shall(size uint64) {
	if p.size != size {
		p.size, p.hurry = size, !p.at.IsZero()
	}
}

// start runs look for p beside the caller, if that is due. ps is locked.
func (ps *probes) start(p *probe, look func() (block.Disk, bool, error), news func(*probe)) {
	if p.running || ps.closed || !p.hurry && time.Since(p.at) < p.pause() {
		return
	}
	p.running, p.hurry, p.doubted, p.failed = true, false, false, false
	ps.running++
	was := *p
	go func() {
		disk, wrong, err := look()
		ps.mu.Lock()
		changed := was.at.IsZero() || (err == nil) != (was.err == nil) || wrong != was.wrong || disk.Name != was.disk.Name || disk.SizeBytes != was.disk.SizeBytes
		p.running, p.at, p.disk, p.err, p.wrong = false, time.Now(), disk, err, wrong
		if changed && err == nil {
			p.addAt, p.refused = p.at.Add(adoptionPatience), 0
		}
		found := *p
		ps.running--
		ps.mu.Unlock()
		if changed {
			news(&found)
		}
		ps.ended.Send()
	}()
}

// probe returns what is known of v's LUN on session s, and starts a new look
// when that is due. Seen is the disk that is there as far as the kernel has told.
func (c *Connector) probe(ctx context.Context, state *volume, v Volume, s openiscsi.Session, seen block.Disk) probe {
	ps := &state.probes
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.session == nil {
		ps.session = map[int]*probe{}
	}
	p := ps.session[s.ID]
	if p == nil || p.lun != v.LUN {
		p = &probe{lun: v.LUN}
		ps.session[s.ID] = p
	}
	p.shall(v.SizeBytes)
	for _, session := range ps.drops {
		if session == s.ID {
			return *p // see drop
		}
	}
	ctx = context.WithoutCancel(ctx)
	condemn := func(err error) { ps.condemn(p, err) }
	same := p.proven() && p.disk.Name == seen.Name && p.disk.Major == seen.Major && p.disk.Minor == seen.Minor &&
		seen.MapUUID == multipath.UUIDPrefix+v.WWID && seen.SizeBytes >= v.SizeBytes
	ps.start(p, func() (block.Disk, bool, error) {
		if same && c.stillProves(v, seen) {
			return seen, false, nil
		}
		return c.examine(ctx, state, v, s, condemn)
	}, func(p *probe) {
		if p.err != nil {
			c.log.WarnContext(ctx, "path not verified", "path", s.Portal.String(), "wwid", v.WWID, "error", p.err)
		} else {
			c.log.InfoContext(ctx, "path verified", "path", s.Portal.String(), "wwid", v.WWID, "disk", p.disk.Name)
		}
		c.looks.changed() // the disk is newer than the last view
		state.news.Send()
	})
	return *p
}

// stillProves reports whether a disk that has proved to be v does so again. It costs
// one INQUIRY and nothing else, since it is most of what an idle machine does; any
// other answer is for examine to judge.
func (c *Connector) stillProves(v Volume, disk block.Disk) bool {
	wwid, err := c.disks.WWID(disk.Name, inquiryTimeout)
	return err == nil && wwid == v.WWID && disk.WWID == v.WWID
}

// look finds v's LUN on session s, scanning for it if need be, and has it prove
// its identity. Wrong is true if what was found is not to be a path of v; then disk
// is empty unless it is still there.
func (c *Connector) look(ctx context.Context, v Volume, s openiscsi.Session, condemn func(error)) (disk block.Disk, wrong bool, err error) {
	for _, again := range []bool{true, false} {
		if disk, err = c.find(ctx, v, s); err != nil {
			return disk, false, err
		}
		err = c.prove(ctx, v, s, disk, condemn)
		if !again || !errors.Is(err, errOutdated) {
			break
		}
	}
	if err != nil {
		r, wrong := errors.AsType[*refusal](err)
		if wrong && !r.stays {
			disk = block.Disk{}
		}
		return disk, wrong, err
	}
	if disk, err = c.remeasure(disk, v.SizeBytes); err != nil {
		return disk, false, err
	}
	// What is inside is the guest's: the kernel reads the partition table of
	// every new disk by itself.
	if err := c.disks.ForgetPartitions(disk.Name); err != nil {
		c.log.WarnContext(ctx, "partitions stay visible", "disk", disk.Name, "error", err)
	}
	return disk, false, nil
}

// find returns the disk at v's LUN on session s, scanning for it if need be.
func (c *Connector) find(ctx context.Context, v Volume, s openiscsi.Session) (block.Disk, error) {
	disk, found, err := c.disks.SessionDisk(s.ID, uint64(v.LUN))
	if err == nil && !found {
		if err = c.disks.ScanLUN(s.Host, uint64(v.LUN)); err == nil {
			disk, found, err = c.awaitDisk(ctx, v, s)
		}
	}
	if err == nil && !found {
		err = fmt.Errorf("the target shows no LUN %d here", v.LUN)
	}
	return disk, err
}

// awaitDisk waits for the disk of a LUN that was just scanned: the kernel makes
// the SCSI device at once and its disk a moment later (drivers/scsi/sd.c probes
// asynchronously).
func (c *Connector) awaitDisk(ctx context.Context, v Volume, s openiscsi.Session) (block.Disk, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lunRetry)
	defer cancel()
	for {
		event := c.event.Wait()
		disk, found, err := c.disks.SessionDisk(s.ID, uint64(v.LUN))
		if found || err != nil {
			return disk, found, err
		}
		select {
		case <-ctx.Done():
			return c.disks.SessionDisk(s.ID, uint64(v.LUN)) // no event comes while Run does not run
		case <-event:
		}
	}
}
