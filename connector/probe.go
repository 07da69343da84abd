// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
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

// volume is what is remembered of a Volume between calls; all of it can be
// found out again.
type volume struct {
	sync.Mutex        // serialises the calls for one WWID
	name       string // of the Volume that is attached, see claim
	// Guarded by Connector.mu; empty once the volume is being detached.
	target  string
	portals map[openiscsi.Portal]bool // that it is to be reached through

	before   int       // usable paths when portals last changed, see drain; negative while that is not known
	makeAt   time.Time // when a map may be made again after a failure
	lost     error     // what a flush has failed with that no Detach has told yet
	probes   probes
	drain    drain
	adoption adoption
	news     broadcast // sent when the volume's probes have found something new
}

// probes are the looks at a volume's disks. They run beside the calls, since a
// path that hangs must delay nobody.
type probes struct {
	mu      sync.Mutex
	closed  bool
	running int
	ended   broadcast      // sent at the end of each
	session map[int]*probe // the search for the LUN on a session, by the session's number
	stray   map[string]*probe
	drops   map[string]int // disks that are being removed, with their sessions

	serial   string     // of the volume, see examine; empty while that is not known
	excluded []excluded // for a time
}

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

// doubt has what was found on a session proved again.
func (ps *probes) doubt(session int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for id, p := range ps.session {
		if session == 0 || id == session {
			p.doubted = true
		}
	}
	for _, p := range ps.stray {
		p.doubted = true
	}
}

// shall notes the size that the disk shall have: a new one is looked for at once.
func (p *probe) shall(size uint64) {
	if p.size != size {
		p.size, p.hurry = size, !p.at.IsZero()
	}
}

// looking reports whether a look at session runs.
func (ps *probes) looking(session int) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.session[session]
	return p != nil && p.running
}

// proved reports whether the last look at a disk has shown that it is the
// volume's.
func (ps *probes) proved(session int, disk string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	stray, p := ps.stray[disk], ps.session[session]
	if p != nil && p.disk.Name != disk {
		p = nil
	}
	if stray != nil && stray.wrong || p != nil && p.wrong {
		return false // whichever of the two is the later
	}
	return stray != nil && stray.proven() || p != nil && p.proven()
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

// condemn notes that p's disk has answered that it is no path of the volume, although
// the look goes on: its removal waits for what is in flight, and an earlier proof
// must serve for nothing more.
func (ps *probes) condemn(p *probe, err error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.err, p.wrong = err, true
}

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

// fail notes that the kernel has found the path of a session bad: what comes back
// may be another disk.
func (ps *probes) fail(session int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.session[session]; p != nil {
		p.failed = true
	}
}

// again has the disk of a session looked for anew: another is there by now.
func (ps *probes) again(session int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.session[session]; p != nil {
		p.hurry = true
	}
}

// suspect has a disk prove itself again at once.
func (ps *probes) suspect(disk string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.stray[disk]; p != nil {
		p.hurry = true
	}
	for _, p := range ps.session {
		if p.disk.Name == disk {
			p.hurry = true
		}
	}
}

// forget drops what was found on a session: after a loss it proves itself anew.
func (ps *probes) forget(session int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.session, session)
}

// drop runs remove beside the caller, unless that of the same disk runs already
// or the disk is being looked at: a look that ends after the removal would judge
// whatever has got the name by then.
func (ps *probes) drop(disk string, session int, remove func()) (started bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	stray, look := ps.stray[disk], ps.session[session]
	if _, runs := ps.drops[disk]; ps.closed || runs || stray != nil && stray.running || look != nil && look.running {
		return false
	}
	delete(ps.stray, disk)
	delete(ps.session, session)
	if ps.drops == nil {
		ps.drops = map[string]int{}
	}
	ps.drops[disk] = session
	ps.running++
	go func() {
		remove()
		ps.mu.Lock()
		delete(ps.drops, disk)
		ps.running--
		ps.mu.Unlock()
		ps.ended.Send()
	}()
	return true
}

// postpone notes when multipathd may next be asked to add a session's disk.
func (ps *probes) postpone(session int, until time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.session[session]; p != nil {
		p.addAt = until
	}
}

// refuse notes that multipathd would not add a session's disk, and returns how
// often that has been so.
func (ps *probes) refuse(session int) int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.session[session]
	if p == nil {
		return 0
	}
	p.refused++
	return p.refused
}

// close stops new looks, waits until those that run have ended (one that scans
// would bring back a disk that was just removed), and drops what was found.
func (ps *probes) close(ctx context.Context) error {
	for {
		ended := ps.ended.Wait()
		ps.mu.Lock()
		ps.closed = true
		running := ps.running
		if running == 0 {
			ps.session, ps.stray, ps.serial = nil, nil, ""
		}
		ps.mu.Unlock()
		if running == 0 {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("a look at a path has not ended: %w", ctx.Err())
		}
	}
}

func (ps *probes) open() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = false
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
