// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"net/netip"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// Unit is a logical unit of the SAN.
type Unit struct {
	WWID   string
	Serial string
	Size   uint64
	// Suspended units answer INQUIRY and take no I/O: LIO answers it by itself
	// (drivers/target/target_core_spc.c, spc_emulate_inquiry).
	Suspended bool
}

// portal is an address of the target.
type portal struct {
	dead    bool // answers nothing
	refuses bool // answers connections with a reset
	luns    map[uint64]*Unit
}

// AddUnit makes a unit. It is the one that its identity means from now on.
func (k *Kernel) AddUnit(wwid string, size uint64) *Unit {
	k.mu.Lock()
	defer k.mu.Unlock()
	u := &Unit{WWID: wwid, Serial: "serial of " + wwid, Size: size}
	k.units[wwid] = u
	return u
}

// Change changes a unit.
func (k *Kernel) Change(u *Unit, change func(*Unit)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(u)
}

// Map puts a unit behind a LUN of some portals, instead of what was there; nil
// leaves nothing there. Cause is whose doing it is, for the measure of exposures.
func (k *Kernel) Map(lun uint64, u *Unit, portals ...netip.AddrPort) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, addr := range portals {
		p := k.portals[addr]
		if u == nil {
			delete(p.luns, lun)
		} else {
			p.luns[lun] = u
		}
		for _, s := range k.sessionsTo(addr) {
			s.doubt = true // the next command is answered with a unit attention (SPC-4 §5.14)
		}
	}
	k.audit()
}

// InUse returns the identity of a disk that is at a LUN of any session of ours and
// is not that of a unit; it is empty if there is none.
func (k *Kernel) InUse(lun uint64, wwid string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.ours() {
		for _, d := range s.disks {
			if d.lun == lun && d.cached != wwid {
				return d.cached
			}
		}
	}
	return ""
}

// SetSecret is what the target takes from the next login on.
func (k *Kernel) SetSecret(s openiscsi.Secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secret = s
}

// Cut makes a portal silent, or refuse connections.
func (k *Kernel) Cut(addr netip.AddrPort, refuses bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.portals[addr]
	p.dead, p.refuses = true, refuses
	for _, s := range k.sessionsTo(addr) {
		// The NOP's interval and time limit of our records are 2 s and 3 s; a reset is
		// noticed at once (usr/initiator.c, session_conn_error).
		lo, hi := 3*time.Second, 5*time.Second
		if refuses {
			lo, hi = time.Millisecond, 50*time.Millisecond
		}
		k.after("loss of "+s.name(), lo, hi, func() { k.lose(s) })
	}
}

// Heal makes a portal answer again.
func (k *Kernel) Heal(addr netip.AddrPort) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.portals[addr]
	p.dead, p.refuses = false, false
	k.audit()
}
