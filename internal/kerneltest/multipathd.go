// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
)

// multipathd is the daemon. It goes by the identity that udev has read of a disk,
// and never asks the disk again (recheck_wwid is off by default).
type multipathd struct {
	down  bool             // it does not answer
	blind bool             // it answers, and has not yet read what is there
	paths map[*disk]string // that it knows, with that identity
}

// diskEvent is what udev's event of a disk makes it do.
func (d *multipathd) diskEvent(k *Kernel, disk *disk) {
	if d.down || d.blind || disk.gone || disk.udev == "" {
		return
	}
	d.paths[disk] = disk.udev
	d.adopt(k, disk)
}

// adopt puts a disk into the map of its identity, which it makes if it may
// (multipathd/main.c, ev_add_path).
func (d *multipathd) adopt(k *Kernel, disk *disk) bool {
	wwid := d.paths[disk]
	m := k.maps[multipath.UUIDPrefix+wwid]
	switch {
	case disk.holder != nil:
		return disk.holder == m
	case m == nil && !k.allowed[wwid] && !k.options.Everything:
		return false
	case m == nil:
		if u := k.behind(disk); u == nil {
			return false
		}
		m = k.newMap(multipath.UUIDPrefix+wwid, wwid)
		m.loaded, m.queue, m.size = true, true, disk.size
		m.astray = k.judge.luns[wwid] != disk.lun
		k.note("multipathd makes %s of %s", m.name(), short(wwid))
	case !m.known:
		// It fails to make what is there, and takes it for what it has half made
		// itself (0.9.4, libmultipath/devmapper.c, dm_addmap_create).
		if m.opens == 0 {
			k.note("multipathd loses the race for %s", m.name())
			k.removeMap(m)
		}
		return false
	case disk.size < m.size:
		return false // the kernel refuses the table (drivers/md/dm-table.c, device_area_is_invalid)
	}
	m.known = true
	k.hold(m, disk)
	k.note("multipathd puts %s into %s", disk.name, m.name())
	k.changed(m)
	return true
}

// forget takes a disk that is gone out of its map; with the last one the map goes,
// if nobody has it open (multipathd/main.c, ev_remove_path).
func (d *multipathd) forget(k *Kernel, disk *disk) {
	if d.down || d.blind {
		return
	}
	delete(d.paths, disk)
	m := disk.holder
	if m == nil || m.wwid() == "" {
		return
	}
	if len(m.paths) > 1 {
		k.drop(m, disk)
		k.changed(m)
		return
	}
	if m.opens == 0 {
		k.removeMap(m)
		return
	}
	k.drop(m, disk)
}

// mapEvent is what the event of a map that others have made makes it do: it adopts
// the map and completes it with the disks that it knows.
func (d *multipathd) mapEvent(k *Kernel, m *dmMap) {
	if d.down || d.blind || k.maps[m.uuid] != m || !m.loaded {
		return
	}
	m.known = true
	for _, disk := range k.disks() {
		if d.paths[disk] == m.wwid() && disk.holder == nil {
			d.adopt(k, disk)
		}
	}
}

// check is the path checker: it reinstates what answers and fails what does not,
// every five seconds, and does not look whose answer it is (libmultipath/checkers).
func (d *multipathd) check(k *Kernel) {
	k.after("checker", 4*time.Second, 6*time.Second, func() {
		defer d.check(k)
		if d.down || d.blind {
			return
		}
		for _, m := range k.mapList() {
			if m.wwid() == "" || !m.known {
				continue
			}
			for _, p := range m.paths {
				u := k.behind(p.disk)
				answers := u != nil && !u.Suspended
				switch {
				case answers && !p.active:
					p.active = true
					k.note("multipathd reinstates %s in %s", p.disk.name, m.name())
					k.uevent(block.Uevent{Subsystem: "block"})
				case !answers && p.active && !(u != nil && u.Suspended):
					k.failPath(p.disk)
				}
				k.attention(p.disk.session)
			}
		}
	})
}

// Restart stops multipathd and starts it a moment later. It answers before it knows
// what is there.
func (k *Kernel) Restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := &k.daemon
	if d.down || d.blind {
		return
	}
	k.note("multipathd restarts")
	d.down, d.paths = true, map[*disk]string{}
	for _, m := range k.maps {
		m.known = false
	}
	k.after("start", 100*time.Millisecond, 2*time.Second, func() {
		d.down, d.blind = false, true
		k.after("read", 100*time.Millisecond, 2*time.Second, func() {
			d.blind = false
			for _, disk := range k.disks() {
				if disk.settled && disk.udev != "" {
					d.paths[disk] = disk.udev
				}
			}
			for _, m := range k.mapList() {
				if m.wwid() != "" {
					d.clean(k, m)
				}
			}
			for _, disk := range k.disks() {
				if d.paths[disk] != "" {
					d.adopt(k, disk)
				}
			}
		})
	})
}

// clean takes disks that are gone out of a map that it finds, and adopts it.
func (d *multipathd) clean(k *Kernel, m *dmMap) {
	for _, p := range m.paths {
		if p.disk.gone {
			d.forget(k, p.disk)
		}
	}
	if k.maps[m.uuid] == m {
		d.mapEvent(k, m)
	}
}
