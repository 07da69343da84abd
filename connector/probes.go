// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"sync"
	"time"
)

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

// condemn notes that p's disk has answered that it is no path of the volume, although
// the look goes on: its removal waits for what is in flight, and an earlier proof
// must serve for nothing more.
func (ps *probes) condemn(p *probe, err error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.err, p.wrong = err, true
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
