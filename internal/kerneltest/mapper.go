// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
)

// dmMap is a device-mapper device.
type dmMap struct {
	minor  uint32
	alias  string
	uuid   string
	size   uint64
	loaded bool // it has a table
	queue  bool
	paths  []*dmPath
	opens  int
	known  bool // multipathd knows it
	astray bool // multipathd has made it of a disk at another LUN than the identity's
}

type dmPath struct {
	disk   *disk
	active bool
	fails  int
}

func (m *dmMap) name() string { return fmt.Sprintf("dm-%d", m.minor) }

// wwid returns the identity that a multipath map is named after.
func (m *dmMap) wwid() string {
	wwid, ok := strings.CutPrefix(m.uuid, multipath.UUIDPrefix)
	if !ok {
		return ""
	}
	return wwid
}

func (m *dmMap) path(d *disk) *dmPath {
	for _, p := range m.paths {
		if p.disk == d {
			return p
		}
	}
	return nil
}

// usable returns how many paths carry I/O to the right unit, but for one disk.
func (k *Kernel) usable(m *dmMap, but *disk) int {
	n := 0
	for _, p := range m.paths {
		if u := k.behind(p.disk); p.active && p.disk != but && u != nil && u == k.units[m.wwid()] {
			n++
		}
	}
	return n
}

func (k *Kernel) mapList() []*dmMap {
	return slices.SortedFunc(maps.Values(k.maps), func(a, b *dmMap) int { return int(a.minor) - int(b.minor) })
}

// newMap makes a device without a table (DM_DEV_CREATE). The number is the lowest
// that is free (drivers/md/dm.c, next_free_minor).
func (k *Kernel) newMap(uuid, alias string) *dmMap {
	taken := map[uint32]bool{}
	for _, m := range k.maps {
		taken[m.minor] = true
	}
	m := &dmMap{uuid: uuid, alias: alias}
	for taken[m.minor] {
		m.minor++
	}
	k.maps[uuid] = m
	return m
}

// hold puts a disk into a map's table. A disk that is in another device's is busy
// (drivers/md/dm-table.c, dm_get_device claims it).
func (k *Kernel) hold(m *dmMap, d *disk) bool {
	if d.gone || d.holder != nil && d.holder != m {
		return false
	}
	if m.path(d) == nil {
		m.paths = append(m.paths, &dmPath{disk: d, active: true})
		d.holder = m
	}
	return true
}

func (k *Kernel) drop(m *dmMap, d *disk) {
	m.paths = slices.DeleteFunc(slices.Clone(m.paths), func(p *dmPath) bool { return p.disk == d })
	if d.holder == m {
		d.holder = nil
	}
}

// failPath is what dm-multipath does when I/O to a disk has failed
// (drivers/md/dm-mpath.c, fail_path). It makes an event.
func (k *Kernel) failPath(d *disk) {
	if d.holder == nil {
		return
	}
	if p := d.holder.path(d); p != nil && p.active {
		p.active = false
		p.fails++
		k.note("%s fails in %s", d.name, d.holder.name())
		k.uevent(block.Uevent{Subsystem: "block"})
	}
}

// changed tells of a map, and has udev look into it for a moment.
func (k *Kernel) changed(m *dmMap) {
	k.uevent(block.Uevent{Subsystem: "block"})
	k.after("udev "+m.name(), 2*time.Millisecond, 50*time.Millisecond, func() {
		if k.maps[m.uuid] == m {
			m.opens++
			k.after("probe "+m.name(), time.Millisecond, 40*time.Millisecond, func() { m.opens-- })
		}
	})
}

func (k *Kernel) removeMap(m *dmMap) {
	for _, p := range slices.Clone(m.paths) {
		k.drop(m, p.disk)
	}
	delete(k.maps, m.uuid)
	k.note("%s of %s is removed", m.name(), short(m.uuid))
	k.uevent(block.Uevent{Subsystem: "block"})
}

// Open has somebody open the map of an identity, and returns how it is closed; nil
// if there is none.
func (k *Kernel) Open(wwid string) (closeIt func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.maps[multipath.UUIDPrefix+wwid]
	if m == nil {
		return nil
	}
	m.opens++
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		m.opens--
	}
}
