// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"fmt"
	"slices"
	"time"

	"github.com/mallee-io/mallee/internal/block"
)

// disk is a SCSI disk.
type disk struct {
	name    string
	minor   uint32
	lun     uint64
	session *session
	cached  string // the identity that it had when it was found (drivers/scsi/scsi.c, scsi_attach_vpd)
	serial  string // the same of its serial number
	size    uint64 // that it had then, or when it was last asked
	shown   bool   // sd has made its block device
	udev    string // the identity that udev has read; empty before, or if it could not
	settled bool   // udev is through with it
	gone    bool
	holder  *dmMap

	proof   string    // the identity that it has answered last
	proofAt time.Time // by the bubble's clock
	wrong   time.Time // since when its map sends I/O to another unit; zero if it does not
	known   time.Time // when it has answered that to the process
}

// behind returns the unit that I/O to a disk reaches now; nil if it reaches none.
func (k *Kernel) behind(d *disk) *Unit {
	if d.gone || !k.alive(d.session) {
		return nil
	}
	return k.portals[d.session.portal.Addr].luns[d.lun]
}

// disks returns all, in the order of their sessions.
func (k *Kernel) disks() []*disk {
	var list []*disk
	for _, s := range k.all() {
		list = append(list, s.disks...)
	}
	return list
}

func (k *Kernel) named(name string) *disk {
	for _, d := range k.disks() {
		if d.name == name && d.shown {
			return d
		}
	}
	return nil
}

// scan looks for a LUN on a session. A disk that is there stays as it is, whatever
// is behind it now (drivers/scsi/scsi_scan.c, scsi_probe_and_add_lun).
func (k *Kernel) scan(s *session, lun uint64) {
	u := k.portals[s.portal.Addr].luns[lun]
	if !k.alive(s) || u == nil || slices.ContainsFunc(s.disks, func(d *disk) bool { return d.lun == lun }) {
		return
	}
	// The lowest name that is free (drivers/scsi/sd.c, ida_alloc): one that was of
	// another disk a moment ago, but for a disk that a map still holds.
	taken := map[uint32]bool{}
	for _, d := range k.disks() {
		taken[d.minor] = true
	}
	for _, m := range k.maps {
		for _, p := range m.paths {
			taken[p.disk.minor] = true
		}
	}
	n := uint32(0)
	for taken[n*16] {
		n++
	}
	d := &disk{name: diskName(n), minor: n * 16, lun: lun, session: s, cached: u.WWID, serial: u.Serial, size: u.Size}
	s.disks = append(s.disks, d)
	k.note("%s is LUN %d of %s: %s", d.name, lun, s.portal, short(u.WWID))
	k.uevent(block.Uevent{Subsystem: "scsi", Session: s.id})
	// drivers/scsi/sd.c probes asynchronously.
	k.after("sd "+d.name, time.Millisecond, 20*time.Millisecond, func() {
		if !d.gone {
			d.shown = true
			k.uevent(block.Uevent{Subsystem: "block", Session: s.id})
			k.announce(d)
		}
	})
}

func diskName(n uint32) string {
	if n < 26 {
		return "sd" + string(rune('a'+n))
	}
	return fmt.Sprintf("sd%c%c", 'a'+n/26-1, 'a'+n%26)
}

// announce has udev read a disk's identity, and multipathd told of it.
func (k *Kernel) announce(d *disk) {
	k.after("udev "+d.name, 5*time.Millisecond, k.options.SlowUdev, func() {
		if d.gone {
			return
		}
		d.settled, d.udev = true, ""
		if u := k.behind(d); u != nil { // else: udev has no identity of it, see connector's Announce
			d.udev = u.WWID
		}
		k.after("multipathd "+d.name, 5*time.Millisecond, 200*time.Millisecond, func() { k.daemon.diskEvent(k, d) })
	})
}

// removeDisk makes the kernel forget a disk. A map that holds it keeps a dead path
// until multipathd has taken it out.
func (k *Kernel) removeDisk(d *disk) {
	if d.gone {
		return
	}
	d.gone = true
	d.session.disks = slices.DeleteFunc(slices.Clone(d.session.disks), func(o *disk) bool { return o == d })
	k.failPath(d)
	k.note("%s is gone", d.name)
	k.uevent(block.Uevent{Subsystem: "block", Session: d.session.id})
	k.after("remove "+d.name, 5*time.Millisecond, 300*time.Millisecond, func() { k.daemon.forget(k, d) })
}

// attention tells of what has changed at the target, as the answer to a command
// (drivers/scsi/scsi_lib.c, scsi_evt_emit).
func (k *Kernel) attention(s *session) {
	if s.doubt && k.alive(s) {
		s.doubt = false
		k.uevent(block.Uevent{Subsystem: "scsi", Doubt: true, Session: s.id})
	}
}

func short(wwid string) string { return "…" + wwid[max(0, len(wwid)-4):] }
