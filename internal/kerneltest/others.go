// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"net/netip"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// Other people's tools on the same machine.

// foreign is the map of another tool over a disk of ours.
const foreign = "LVM-somebody"

// OthersLogIn has somebody log in to a portal and find a LUN there, or log out if
// somebody had.
func (k *Kernel) OthersLogIn(addr netip.AddrPort, lun uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := openiscsi.Portal{Target: Target, Addr: addr, TPGT: 1, Iface: "default"}
	if s := k.find(p); s != nil {
		k.note("somebody logs out from %s", addr)
		k.endSession(s)
		return
	}
	if k.portals[addr].dead {
		return
	}
	k.note("somebody logs in to %s", addr)
	k.lastID++
	s := &session{id: k.lastID, portal: p, state: loggedIn, secret: k.secret}
	k.sessions[s.id] = s
	k.scan(s, lun)
}

// OthersMap has somebody make a device of a disk of ours at a LUN that is in no map,
// or remove that device. It reports whether there was a disk to take.
func (k *Kernel) OthersMap(lun uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := k.maps[foreign]; m != nil {
		k.removeMap(m)
		return true
	}
	for _, s := range k.ours() {
		for _, d := range s.disks {
			if d.lun == lun && d.holder == nil && d.shown {
				m := k.newMap(foreign, "somebody")
				m.loaded, m.size = true, d.size
				k.hold(m, d)
				k.note("somebody makes %s of %s", m.name(), d.name)
				return true
			}
		}
	}
	return false
}

// OthersLeave removes what OthersLogIn and OthersMap have made.
func (k *Kernel) OthersLeave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := k.maps[foreign]; m != nil {
		k.removeMap(m)
	}
	for _, s := range k.all() {
		if !s.ours() {
			k.endSession(s)
		}
	}
}
