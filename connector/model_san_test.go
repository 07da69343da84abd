// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/kerneltest"
	"github.com/mallee-io/mallee/internal/openiscsi"
	"github.com/mallee-io/mallee/internal/sp/ledger"
)

// modelSAN is the storage processors and whoever tells them what to export.
type modelSAN struct {
	k    *kerneltest.Kernel
	chap CHAP

	mu   sync.Mutex
	file ledgerFile
	luns *ledger.Ledger
	down bool // without power: nothing is mapped
	live map[string]*modelVolume
}

// modelNodeName is who the volumes are exported to.
const modelNodeName = mallee.IQN("iqn.1993-08.org.debian:01:node1")

// othersLUN is that of a unit which is somebody else's.
const othersLUN = 99

// ledgerFile keeps a ledger in memory.
type ledgerFile struct{ content []byte }

func (f *ledgerFile) Read() ([]byte, error) {
	if f.content == nil {
		return nil, fs.ErrNotExist
	}
	return f.content, nil
}

func (f *ledgerFile) Write(b []byte) error {
	f.content = b
	return nil
}

// highestLUN is the last of the node's that are free at first, so that numbers come
// round soon.
const highestLUN = 5

func newModelSAN(k *kerneltest.Kernel) (*modelSAN, error) {
	s := &modelSAN{k: k, live: map[string]*modelVolume{}}
	s.setSecret("the-first-secret")
	k.Map(othersLUN, &kerneltest.Unit{WWID: "3600140500000000000000000000000099", Size: 1 << 30}, modelPortals...)
	if err := s.open(); err != nil {
		return nil, err
	}
	held := map[uint16]mallee.VolumeID{}
	for lun := uint16(highestLUN + 1); lun <= 255; lun++ {
		held[lun] = "vol-ffffffff"
	}
	key := ledger.Key{Volume: "vol-ffffffff", Initiator: modelNodeName}
	if _, err := s.luns.Add(key, mallee.CHAP{}, held); err != nil {
		return nil, err
	}
	return s, nil
}

// open reads the ledger, as a storage processor does when it starts.
func (s *modelSAN) open() (err error) {
	s.luns, err = ledger.Open(&s.file)
	return err
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
		spec: Volume{Name: fmt.Sprintf("vol-%08d", i+1), WWID: wwid, Target: kerneltest.Target},
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

func (v *modelVolume) key() ledger.Key {
	return ledger.Key{Volume: mallee.VolumeID(v.spec.Name), Initiator: modelNodeName}
}

// export maps a volume for the node and wishes it attached. It returns what is wrong
// if the number is still in use on the node.
func (s *modelSAN) export(v *modelVolume, portals []Portal) (wrong string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return ""
	}
	lun, err := s.luns.Add(v.key(), mallee.CHAP(s.chap), nil)
	if err != nil {
		return err.Error()
	}
	if other := s.k.InUse(uint64(lun), v.spec.WWID); other != "" && !v.isExported() {
		return fmt.Sprintf("LUN %d is given to %s, and the node has a disk of %s there", lun, v.spec.Name, other)
	}
	s.k.Map(uint64(lun), v.unit, modelPortals...)
	v.mu.Lock()
	v.exported, v.mapped = true, true
	v.mu.Unlock()
	v.wish(func(w *modelWish) {
		*w = modelWish{attached: true, portals: portals, size: v.unit.Size, chap: s.chap, lun: lun}
	})
	return ""
}

// takeBack takes a volume away from the node. Released is the LUN at which the node
// has confirmed that it has let go; 0 if it may not even know yet.
func (s *modelSAN) takeBack(v *modelVolume, released uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if released != 0 && v.w.attached {
		return nil // it was late: the volume is attached again
	}
	if v.mapped && !s.down {
		s.k.Map(uint64(v.w.lun), nil, modelPortals...)
	}
	v.mapped = false
	v.exported = v.exported && released == 0
	_, err := s.luns.TakeBack(v.key(), released)
	return err
}

// swap is what an array's admin does: another unit behind a LUN of a volume.
func (s *modelSAN) swap(v *modelVolume, unit *kerneltest.Unit, portals []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if volume, _, exported := v.want(); exported && !s.down {
		s.k.Map(uint64(volume.LUN), unit, portals...)
	}
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
func (s *modelSAN) power(on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on == !s.down {
		return nil
	}
	s.down = !on
	if !on {
		s.cut(modelPortals, false)
		for lun := range uint64(highestLUN) {
			s.k.Map(lun+1, nil, modelPortals...)
		}
		return nil
	}
	if err := s.open(); err != nil {
		return err
	}
	for _, e := range s.luns.Exports() {
		for _, v := range s.live {
			if v.key() == e.Key {
				s.k.Map(uint64(e.LUN), v.unit, modelPortals...)
			}
		}
	}
	for _, addr := range modelPortals { // the portals last, see lio's enable
		s.k.Heal(addr)
	}
	return nil
}

func (s *modelSAN) cut(portals []netip.AddrPort, refuses bool) {
	for _, addr := range portals {
		s.k.Cut(addr, refuses)
	}
}

// heal makes everything well but what is mapped.
func (s *modelSAN) heal() error {
	if err := s.power(true); err != nil {
		return err
	}
	for _, addr := range slices.Clone(modelPortals) {
		s.k.Heal(addr)
	}
	for _, v := range s.live {
		s.k.Change(v.unit, func(u *kerneltest.Unit) { u.Suspended = false })
	}
	return nil
}
