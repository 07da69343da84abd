// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/mallee-io/mallee/internal/kerneltest"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// modelSAN is the storage processors and whoever tells them what to export.
type modelSAN struct {
	k    *kerneltest.Kernel
	chap CHAP

	mu   sync.Mutex
	luns ledger
	down bool // without power: nothing is mapped
	live map[string]*modelVolume
}

// ledger gives LUNs to volumes. A LUN whose volume the node has not let go is not
// given to another.
type ledger struct {
	given map[string]uint16 // by volume, until the node has let go
	last  uint16
}

// othersLUN is that of a unit which is somebody else's.
const othersLUN = 99

const ledgerEnd = 5 // so that numbers come round soon

func (l *ledger) give(volume string) (uint16, bool) {
	if lun, ok := l.given[volume]; ok {
		return lun, true
	}
	for i := range uint16(ledgerEnd) {
		lun := (l.last+i)%ledgerEnd + 1
		taken := false
		for _, other := range l.given {
			taken = taken || other == lun
		}
		if !taken {
			l.given[volume], l.last = lun, lun
			return lun, true
		}
	}
	return 0, false
}

func (l *ledger) confirm(volume string) { delete(l.given, volume) }

func newModelSAN(k *kerneltest.Kernel) *modelSAN {
	s := &modelSAN{k: k, luns: ledger{given: map[string]uint16{}}, live: map[string]*modelVolume{}}
	s.setSecret("first")
	k.Map(othersLUN, &kerneltest.Unit{WWID: "3600140500000000000000000000000099", Size: 1 << 30}, modelPortals...)
	return s
}

func (s *modelSAN) setSecret(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chap = CHAP{Username: "node1", Password: password}
	s.k.SetSecret(openiscsi.Secret(s.chap))
}

// modelVolume is a volume, the cloud's wish for it, and what the node has said of it.
type modelVolume struct {
	spec Volume // name and identity
	unit *kerneltest.Unit

	mu       sync.Mutex
	w        modelWish
	exported bool // from the attach until the node has let go
	mapped   bool // by the SAN's own bookkeeping
	changed  chan struct{}
	err      error
	closer   func()
}

// GoString is how a volume looks in a failing test's draws.
func (v *modelVolume) GoString() string { return v.spec.Name }

// modelWish is what the cloud wishes of a volume on the node.
type modelWish struct {
	attached bool
	portals  []Portal
	size     uint64
	chap     CHAP
	lun      uint16
}

func (s *modelSAN) create(i int) *modelVolume {
	wwid := fmt.Sprintf("36001405%021x%04d", 0, i+1)
	v := &modelVolume{
		spec: Volume{Name: fmt.Sprintf("vol-%d", i+1), WWID: wwid, Target: kerneltest.Target},
		unit: s.k.AddUnit(wwid, 1<<30), changed: make(chan struct{}, 1),
	}
	s.live[wwid] = v
	return v
}

func (v *modelVolume) wish(change func(*modelWish)) {
	v.mu.Lock()
	change(&v.w)
	v.mu.Unlock()
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// want returns what the node shall do; exported is false when it has nothing to do
// with the volume.
func (v *modelVolume) want() (volume Volume, attached, exported bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	volume = v.spec
	volume.LUN, volume.Portals, volume.SizeBytes, volume.CHAP = v.w.lun, v.w.portals, v.w.size, v.w.chap
	return volume, v.w.attached, v.exported
}

func (v *modelVolume) isExported() bool { _, _, exported := v.want(); return exported }

func (v *modelVolume) note(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func (v *modelVolume) lastError() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// close gives the device back.
func (v *modelVolume) close() {
	if v.closer != nil {
		v.closer()
		v.closer = nil
	}
}

// export maps a volume for the node and wishes it attached. It returns what is wrong
// if the number is still in use on the node.
func (s *modelSAN) export(v *modelVolume, portals []Portal) (ok bool, wrong string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lun, ok := s.luns.give(v.spec.Name)
	if !ok || s.down {
		return false, ""
	}
	if other := s.k.InUse(uint64(lun), v.spec.WWID); other != "" {
		return false, fmt.Sprintf("LUN %d is given to %s, and the node has a disk of %s there", lun, v.spec.Name, other)
	}
	s.k.Map(uint64(lun), v.unit, modelPortals...)
	v.mu.Lock()
	v.exported, v.mapped = true, true
	v.mu.Unlock()
	v.wish(func(w *modelWish) {
		*w = modelWish{attached: true, portals: portals, size: v.unit.Size, chap: s.chap, lun: lun}
	})
	return true, ""
}

// unmap takes a volume away from the node, which may not know yet.
func (s *modelSAN) unmap(v *modelVolume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmapLocked(v)
}

func (s *modelSAN) unmapLocked(v *modelVolume) {
	lun, ok := s.luns.given[v.spec.Name]
	if ok && !s.down {
		s.k.Map(uint64(lun), nil, modelPortals...)
	}
	v.mu.Lock()
	v.mapped = false
	v.mu.Unlock()
}

// released is what the node reports when nothing of a volume is left there.
func (s *modelSAN) released(v *modelVolume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmapLocked(v)
	s.luns.confirm(v.spec.Name)
	v.mu.Lock()
	v.exported = false
	v.mu.Unlock()
}

// swap is what an array's admin does: another unit behind a LUN of a volume.
func (s *modelSAN) swap(v *modelVolume, unit *kerneltest.Unit, portals []netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	lun, ok := s.luns.given[v.spec.Name]
	if ok && !s.down {
		s.k.Map(uint64(lun), unit, portals...)
	}
	return ok && !s.down
}

// restore puts a volume back behind its LUN.
func (s *modelSAN) restore(v *modelVolume) {
	v.mu.Lock()
	mapped := v.mapped
	v.mu.Unlock()
	if mapped {
		s.swap(v, v.unit, modelPortals)
	}
}

// power takes the storage processors' power, and with it all that they map, or gives
// it back.
func (s *modelSAN) power(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on == !s.down {
		return
	}
	if !on {
		s.cut(modelPortals, false)
	}
	for _, v := range s.live {
		lun, ok := s.luns.given[v.spec.Name]
		switch v.mu.Lock(); {
		case ok && !on:
			s.k.Map(uint64(lun), nil, modelPortals...)
		case ok && v.mapped:
			s.k.Map(uint64(lun), v.unit, modelPortals...)
		}
		v.mu.Unlock()
	}
	s.down = !on
	if on { // the portals last, see lio's enable
		for _, addr := range modelPortals {
			s.k.Heal(addr)
		}
	}
}

func (s *modelSAN) cut(portals []netip.AddrPort, refuses bool) {
	for _, addr := range portals {
		s.k.Cut(addr, refuses)
	}
}

// heal makes everything well but what is mapped.
func (s *modelSAN) heal() {
	s.power(true)
	for _, addr := range slices.Clone(modelPortals) {
		s.k.Heal(addr)
	}
	for _, v := range s.live {
		s.k.Change(v.unit, func(u *kerneltest.Unit) { u.Suspended = false })
	}
}
