// SPDX-License-Identifier: Apache-2.0

// Package mem is a SAN in memory, for tests of what stands on a SAN. It keeps
// every rule of san.SAN except that nobody can log in to it.
package mem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/san"
)

// maxLUN is the highest LUN that SAN gives.
const maxLUN = 255

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$`)

// SAN is a SAN in memory. It is safe for concurrent use.
type SAN struct {
	info san.Info

	mu      sync.Mutex
	volumes map[mallee.VolumeID]san.Volume
	exports map[exportKey]uint16
	retired map[seat]mallee.VolumeID
	last    map[mallee.IQN]uint16 // LUN given last
	chap    map[mallee.IQN]mallee.CHAP
}

type exportKey struct {
	volume    mallee.VolumeID
	initiator mallee.IQN
}

// seat is a LUN of an initiator.
type seat struct {
	initiator mallee.IQN
	lun       uint16
}

var _ san.SAN = (*SAN)(nil)

// New returns an empty SAN. Its PoolFreeBytes is reduced by the whole size of
// each volume.
func New(info san.Info) *SAN {
	return &SAN{
		info:    info,
		volumes: map[mallee.VolumeID]san.Volume{},
		exports: map[exportKey]uint16{},
		retired: map[seat]mallee.VolumeID{},
		last:    map[mallee.IQN]uint16{},
		chap:    map[mallee.IQN]mallee.CHAP{},
	}
}

// Info implements san.SAN.
func (s *SAN) Info(ctx context.Context) (san.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := s.info
	info.Portals = slices.Clone(info.Portals)
	for _, v := range s.volumes {
		info.PoolFreeBytes -= min(info.PoolFreeBytes, v.SizeBytes)
		info.PromisedBytes += v.SizeBytes
	}
	return info, gone(ctx, "ask", s.info.Name)
}

// CreateVolume implements san.SAN.
func (s *SAN) CreateVolume(ctx context.Context, spec san.VolumeSpec) (san.Volume, error) {
	id, name := spec.ID, cmp.Or(spec.Name, string(spec.ID))
	if err := gone(ctx, "create", string(id)); err != nil {
		return san.Volume{}, err
	}
	if !id.Valid() || !nameForm.MatchString(name) || spec.SizeBytes == 0 || spec.SizeBytes%mallee.GiB != 0 {
		return san.Volume{}, fail("create", mallee.Invalid, string(id), "the id, the name or the size is not allowed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, there := s.volumes[id]; there {
		if v.SizeBytes != spec.SizeBytes {
			return san.Volume{}, fail("create", mallee.Mismatch, string(id), "it exists with another size")
		}
		return v, nil
	}
	if spec.SizeBytes > s.info.PoolSizeBytes {
		return san.Volume{}, fail("create", mallee.Exhausted, string(id), "it is larger than the pool")
	}
	for _, v := range s.volumes {
		if v.Name == name {
			return san.Volume{}, fail("create", mallee.InUse, string(id), "another volume has the name "+name)
		}
	}
	v := san.Volume{ID: id, Name: name, SizeBytes: spec.SizeBytes, WWID: wwid(id)}
	s.volumes[id] = v
	return v, nil
}

// ResizeVolume implements san.SAN.
func (s *SAN) ResizeVolume(ctx context.Context, id mallee.VolumeID, sizeBytes uint64) (san.Volume, error) {
	if err := gone(ctx, "grow", string(id)); err != nil {
		return san.Volume{}, err
	}
	if !id.Valid() || sizeBytes == 0 || sizeBytes%mallee.GiB != 0 {
		return san.Volume{}, fail("grow", mallee.Invalid, string(id), "the id or the size is not allowed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, there := s.volumes[id]
	switch {
	case !there:
		return san.Volume{}, fail("grow", mallee.NotFound, string(id), "there is no such volume")
	case sizeBytes > s.info.PoolSizeBytes:
		return san.Volume{}, fail("grow", mallee.Exhausted, string(id), "it would be larger than the pool")
	}
	v.SizeBytes = max(v.SizeBytes, sizeBytes)
	s.volumes[id] = v
	return v, nil
}

// DeleteVolume implements san.SAN.
func (s *SAN) DeleteVolume(ctx context.Context, id mallee.VolumeID) error {
	if err := gone(ctx, "delete", string(id)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.exports {
		if key.volume == id {
			return fail("delete", mallee.InUse, string(id), "it is exported")
		}
	}
	delete(s.volumes, id)
	return nil
}

// Volumes implements san.SAN.
func (s *SAN) Volumes(ctx context.Context) ([]san.Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.SortedFunc(maps.Values(s.volumes), func(a, b san.Volume) int { return cmp.Compare(a.ID, b.ID) })
	return all, gone(ctx, "list volumes of", s.info.Name)
}

// Export implements san.SAN. Any CHAP is taken.
func (s *SAN) Export(ctx context.Context, id mallee.VolumeID, initiator mallee.IQN, chap mallee.CHAP, held san.Seats) (mallee.Export, error) {
	if err := gone(ctx, "export", string(id)); err != nil {
		return mallee.Export{}, err
	}
	if !id.Valid() || !initiator.Valid() {
		return mallee.Export{}, fail("export", mallee.Invalid, string(id), "the id or the initiator is not allowed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.volumes[id]; !there {
		return mallee.Export{}, fail("export", mallee.NotFound, string(id), "there is no such volume")
	}
	used := s.used(initiator)
	for lun, volume := range held {
		if !used[lun] {
			s.retired[seat{initiator, lun}] = volume
		}
	}
	key := exportKey{id, initiator}
	if s.exports[key] == 0 {
		lun := s.nextLUN(key)
		if lun == 0 {
			return mallee.Export{}, fail("export", mallee.Exhausted, string(id), "the initiator has no LUN left")
		}
		delete(s.retired, seat{initiator, lun})
		s.exports[key] = lun
	}
	s.chap[initiator] = chap
	return s.export(key, s.exports[key]), nil
}

// CHAP returns what an initiator has to prove itself with.
func (s *SAN) CHAP(initiator mallee.IQN) mallee.CHAP {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chap[initiator]
}

// Unexport implements san.SAN.
func (s *SAN) Unexport(ctx context.Context, id mallee.VolumeID, initiator mallee.IQN, released uint16) error {
	if err := gone(ctx, "unexport", string(id)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := exportKey{id, initiator}
	if lun := s.exports[key]; lun != 0 {
		s.retired[seat{initiator, lun}] = id
	}
	delete(s.exports, key)
	if at := (seat{initiator, released}); s.retired[at] == id {
		delete(s.retired, at)
	}
	return nil
}

// Exports implements san.SAN.
func (s *SAN) Exports(ctx context.Context) (all, retired []san.Export, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, lun := range s.exports {
		all = append(all, san.Export{VolumeID: key.volume, Initiator: key.initiator, Export: s.export(key, lun)})
	}
	for at, volume := range s.retired {
		if key := (exportKey{volume, at.initiator}); s.exports[key] == 0 {
			retired = append(retired, san.Export{VolumeID: volume, Initiator: at.initiator, Export: s.export(key, at.lun)})
		}
	}
	for _, list := range [][]san.Export{all, retired} {
		slices.SortFunc(list, func(a, b san.Export) int {
			return cmp.Or(cmp.Compare(a.VolumeID, b.VolumeID), cmp.Compare(a.Initiator, b.Initiator))
		})
	}
	return all, retired, gone(ctx, "list exports of", s.info.Name)
}

func (s *SAN) export(key exportKey, lun uint16) mallee.Export {
	return mallee.Export{
		Target: s.info.Target, LUN: lun, WWID: wwid(key.volume), Portals: slices.Clone(s.info.Portals),
	}
}

// nextLUN returns the LUN that is kept for an export, else the next after the one
// given last that is free, or 0.
func (s *SAN) nextLUN(key exportKey) uint16 {
	for at, volume := range s.retired {
		if key == (exportKey{volume, at.initiator}) {
			return at.lun
		}
	}
	used, last := s.used(key.initiator), s.last[key.initiator]
	for i := range uint16(maxLUN) {
		if lun := (last+i)%maxLUN + 1; !used[lun] {
			s.last[key.initiator] = lun
			return lun
		}
	}
	return 0
}

// used returns the LUNs of an initiator that are exported or retired.
func (s *SAN) used(initiator mallee.IQN) map[uint16]bool {
	used := map[uint16]bool{}
	for key, lun := range s.exports {
		used[lun] = used[lun] || key.initiator == initiator
	}
	for at := range s.retired {
		used[at.lun] = used[at.lun] || at.initiator == initiator
	}
	return used
}

func wwid(id mallee.VolumeID) mallee.WWID {
	return mallee.WWID(fmt.Sprintf("36%031s", strings.TrimPrefix(string(id), "vol-")))
}

func gone(ctx context.Context, op, id string) error {
	if err := ctx.Err(); err != nil {
		return &mallee.Error{Op: op, Kind: mallee.Unavailable, ID: id, Err: err}
	}
	return nil
}

func fail(op string, kind mallee.Kind, id, why string) error {
	return &mallee.Error{Op: op, Kind: kind, ID: id, Err: errors.New(why)}
}
