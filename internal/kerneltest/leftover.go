// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"maps"
	"slices"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// Leftovers returns what of ours is on the machine.
func (k *Kernel) Leftovers() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []string
	for _, s := range k.ours() {
		list = append(list, "session to "+s.portal.String())
		for _, d := range s.disks {
			list = append(list, "disk "+d.name)
		}
	}
	for _, m := range k.mapList() {
		// One that multipathd made of a disk at a wrong LUN, and could not remove with
		// it because udev had it open just then, is multipathd's.
		if k.units[m.wwid()] != nil && !(m.astray && len(m.paths) == 0) {
			list = append(list, m.name()+" of "+m.uuid)
		}
	}
	for p := range k.records {
		list = append(list, "record of "+p.String())
	}
	for _, name := range slices.Sorted(maps.Keys(k.ifaces)) {
		if name != openiscsi.DefaultIface {
			list = append(list, "iface "+name)
		}
	}
	for _, wwid := range slices.Sorted(maps.Keys(k.allowed)) {
		list = append(list, "allowed "+wwid)
	}
	return list
}

// Device returns the identity of the map that has a kernel name; empty if none has.
func (k *Kernel) Device(name string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.maps {
		if m.name() == name {
			return m.wwid()
		}
	}
	return ""
}
