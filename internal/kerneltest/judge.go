// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
)

const (
	// proofAge is how old a proof of identity may be when it is acted upon.
	proofAge = 35 * time.Second
	// exposureLimit is how long a map that is being kept may send I/O to another
	// unit after the SAN has put that behind one of its paths.
	exposureLimit = 40 * time.Second
	// justNow is how long a path that has answered is taken for one that would answer.
	justNow = 100 * time.Millisecond
	// noticed is how long a process may take to see that a session was lost and is back.
	noticed = 3 * time.Second
	// knownLimit is the same from the moment when the process was told.
	knownLimit = 2 * time.Second
)

// judge watches for what must not be.
type judge struct {
	violations []string
	Longest    map[string]time.Duration // the longest exposure, by what is counted from
	kept       map[string]keeping       // by identity: what a process keeps the paths of
	luns       map[string]uint64        // by identity: the LUN at which it was kept last
}

// keeping is that a process keeps the paths of an identity at a LUN.
type keeping struct {
	since time.Time
	lun   uint64
}

// violation notes what must never happen.
func (k *Kernel) violation(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	k.note("VIOLATION: %s", text)
	k.judge.violations = append(k.judge.violations, text)
}

// Violations returns what should never have happened.
func (k *Kernel) Violations() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.audit()
	return k.judge.violations
}

// Longest returns the longest exposures, in the bubble's time: since the SAN's change
// and since the process was told, both while the volume was kept.
func (k *Kernel) Longest() (changed, told time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.judge.Longest["changed"], k.judge.Longest["told"]
}

// Keep notes that the process keeps the paths of an identity from now on.
func (p *Process) Keep(wwid string, lun uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge.luns[wwid] = lun
	if _, kept := p.judge.kept[wwid]; !kept && !p.killed() {
		p.judge.kept[wwid] = keeping{time.Now(), lun}
	}
}

// Leave undoes Keep.
func (p *Process) Leave(wwid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.judge.kept, wwid)
}

// audit looks where the I/O of each map goes.
func (k *Kernel) audit() {
	for _, m := range k.maps {
		if k.units[m.wwid()] == nil {
			continue
		}
		for _, p := range m.paths {
			u := k.behind(p.disk)
			k.expose(m, p.disk, p.active && u != nil && u != k.units[m.wwid()])
		}
	}
	for _, d := range k.disks() {
		if d.holder == nil {
			d.wrong, d.known = time.Time{}, time.Time{}
		}
	}
}

// expose notes whether a map sends I/O for a disk to another unit than its own.
func (k *Kernel) expose(m *dmMap, d *disk, wrong bool) {
	if !wrong {
		d.wrong, d.known = time.Time{}, time.Time{}
		return
	}
	if d.wrong.IsZero() {
		d.wrong = time.Now()
		k.note("EXPOSED: %s sends I/O of %s to another unit by %s", m.name(), short(m.uuid), d.name)
	}
	by, kept := k.judge.kept[m.wwid()]
	if !kept {
		return
	}
	k.measure("changed", m, d, later(d.wrong, by.since), exposureLimit)
	if !d.known.IsZero() {
		k.measure("told", m, d, later(d.known, by.since), knownLimit)
	}
}

func (k *Kernel) measure(from string, m *dmMap, d *disk, since time.Time, limit time.Duration) {
	lasted := time.Since(since)
	if k.judge.Longest[from] <= limit && lasted > limit {
		k.violation("%s sends I/O of %s to another unit by %s for %v since that was %s", m.name(), short(m.uuid), d.name, lasted, from)
	}
	k.judge.Longest[from] = max(k.judge.Longest[from], lasted)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// answered notes what a disk has told the process of itself.
func (p *Process) answered(d *disk, u *Unit) {
	d.proof, d.proofAt = u.WWID, time.Now()
	if d.holder != nil && d.holder.wwid() != "" && u.WWID != d.holder.wwid() && d.known.IsZero() {
		d.known = d.proofAt
	}
}

func proved(d *disk, wwid string) bool {
	return d.proof == wwid && time.Since(d.proofAt) <= proofAge
}

// begins judges that the process begins to make a map.
func (p *Process) begins(s dm.Spec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, number := range s.Paths {
		d := p.numbered(number.Minor)
		if d != nil && !p.killed() && !proved(d, strings.TrimPrefix(s.UUID, multipath.UUIDPrefix)) {
			p.violation("a map of %s is made of %s, which has not proved that it is that: it has answered %q", short(s.UUID), d.name, d.proof)
		}
	}
}

// adds judges that the process has multipathd take a disk.
func (p *Process) adds(d *disk) {
	switch {
	case !isOurs(d):
		p.violation("%s, which is somebody else's, is given to multipathd", d.name)
	case d.proof == "" || time.Since(d.proofAt) > proofAge:
		p.violation("%s is given to multipathd, and has not proved what it is", d.name)
	}
}

// removes judges that the process removes a disk, from its map or for good.
func (p *Process) removes(d *disk) {
	m := d.holder
	switch {
	case !isOurs(d):
		p.violation("%s, which is somebody else's, is removed", d.name)
	case m == nil:
	case m.wwid() == "":
		p.violation("%s is removed while another tool's %s holds it", d.name, m.name())
	case p.judge.kept[m.wwid()] != keeping{p.judge.kept[m.wwid()].since, d.lun}:
		// It is being detached, and multipathd has made its map again; or multipathd
		// has taken for it what is at a LUN of another.
	case d.proof != "" && d.proof != m.wwid(): // it was another when it was asked
	case slices.ContainsFunc(m.paths, func(o *dmPath) bool {
		return o.disk != d && o.active && o.disk.proof == m.wwid() && time.Since(o.disk.proofAt) <= justNow
	}): // another has just answered; nobody can know what has become of it since
	case m.path(d).active && p.behind(d) != nil && p.behind(d) == p.units[m.wwid()] && p.usable(m, d) == 0:
		p.violation("%s is removed, the last usable path of %s of %s", d.name, m.name(), short(m.uuid))
	}
}

// HandOut judges that the process says that a device may be used, and that some disks
// are its paths.
func (p *Process) HandOut(wwid string, disks []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed() {
		return
	}
	p.audit()
	m := p.maps[multipath.UUIDPrefix+wwid]
	if m == nil {
		return // it has gone at this very moment
	}
	for _, name := range disks {
		if d := p.named(name); d != nil && d.proofAt.Before(d.session.back) && time.Since(d.session.back) > noticed {
			p.violation("%s counts as a path of %s, and has proved nothing since its session was lost", name, short(wwid))
		}
	}
	good := 0
	for _, path := range m.paths {
		// One that has just said that it is another is being removed: see knownLimit.
		if proved(path.disk, wwid) || !path.disk.known.IsZero() {
			good++
		}
	}
	if good == 0 {
		p.violation("%s of %s is handed out, and none of its %d paths has proved what it is", m.name(), short(wwid), len(m.paths))
		for _, path := range m.paths {
			p.note("%s: active %t, has answered %s %v ago", path.disk.name, path.active, short(path.disk.proof), time.Since(path.disk.proofAt))
		}
	}
}

// Released judges that the process says that nothing of an identity is left at a LUN.
func (p *Process) Released(wwid string, lun uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// multipathd may make one of what an admin has put at another LUN.
	if m := p.maps[multipath.UUIDPrefix+wwid]; m != nil && !m.astray {
		p.violation("%s is said to be gone, and %s is there", short(wwid), m.name())
	}
	for _, s := range p.ours() {
		for _, d := range s.disks {
			if d.cached == wwid && d.lun == lun {
				p.violation("%s is said to be gone, and %s is there", short(wwid), d.name)
			}
		}
	}
}

// Blame notes what somebody else has found that must never happen.
func (p *Process) Blame(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed() {
		p.violation("%s", text)
	}
}
