// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mallee-io/mallee"
)

// san is a storage processor, its kernel, and nodes that find disks when they like
// and let go of them when they like.
type san struct {
	t      *rapid.T
	file   *memory
	ledger *Ledger
	kernel map[Key]uint16 // what is mapped now
	// disks are what the nodes have. Only letting go ends a disk, whatever the
	// storage processor does meanwhile.
	disks map[seat]mallee.VolumeID
	// told is what the cloud has told the nodes of and not heard back about.
	told map[Key]uint16
	lost bool // something was forgotten once
}

func (s *san) key() Key {
	return Key{volumeID(rapid.IntRange(1, 3).Draw(s.t, "volume")), rapid.SampledFrom([]mallee.IQN{nc1, nc2}).Draw(s.t, "initiator")}
}

// exported returns the key of one of the exports.
func (s *san) exported() Key {
	all := s.ledger.Exports()
	if len(all) == 0 {
		s.t.Skip("there is none")
	}
	return rapid.SampledFrom(all).Draw(s.t, "export").Key
}

// held is what the cloud knows of an initiator. It tells it only where it must: what
// was never lost needs no reminder.
func (s *san) held(initiator mallee.IQN) map[uint16]mallee.VolumeID {
	held := map[uint16]mallee.VolumeID{}
	if !s.lost {
		return held
	}
	for key, lun := range s.told {
		if key.Initiator == initiator {
			held[lun] = key.Volume
		}
	}
	return held
}

func (s *san) export(key Key) {
	// However late the numbers begin again, they do.
	if rapid.Bool().Draw(s.t, "the numbers begin again") {
		clear(s.ledger.last)
	}
	lun, err := s.ledger.Add(key, chap, s.held(key.Initiator))
	if err != nil {
		s.t.Fatal(err)
	}
	s.kernel[key], s.told[key] = lun, lun
}

// reopen starts the storage processor anew.
func (s *san) reopen() {
	l, err := Open(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	var live []Export
	for key, lun := range s.kernel {
		live = append(live, Export{key, lun})
	}
	if err := l.Adopt(live); err != nil {
		s.t.Fatal(err)
	}
	s.ledger = l
	for _, e := range l.Exports() {
		s.kernel[e.Key] = e.LUN
	}
}

// scan has a node find what is mapped now. A disk that it has stays the one that it
// was: only the first look asks who it is.
func (s *san) scan(key Key, lun uint16) {
	if at := (seat{key.Initiator, lun}); s.disks[at] == "" {
		s.disks[at] = key.Volume
	}
}

// letGo has a node give up all disks of a volume, and returns what it confirms.
func (s *san) letGo(key Key) (released uint16) {
	maps.DeleteFunc(s.disks, func(at seat, volume mallee.VolumeID) bool {
		return key == Key{volume, at.initiator}
	})
	return s.told[key]
}

// check looks for a LUN that leads to another volume than the disk that a node
// has there.
func (s *san) check() {
	for key, lun := range s.kernel {
		if disk := s.disks[seat{key.Initiator, lun}]; disk != "" && disk != key.Volume {
			s.t.Fatalf("%s reads and writes %s through its disk of %s at LUN %d", key.Initiator, key.Volume, disk, lun)
		}
	}
}

// A LUN never comes to another volume before the initiator has confirmed that it
// has let go: whoever dies, is told twice, or loses its file.
func TestNoLUNLeadsAStaleDiskToAnotherVolume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &san{
			t: t, file: &memory{}, kernel: map[Key]uint16{}, disks: map[seat]mallee.VolumeID{}, told: map[Key]uint16{},
		}
		s.reopen()
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { s.check() },
			"export": func(t *rapid.T) {
				s.t = t
				s.export(s.key())
			},
			"scan": func(t *rapid.T) {
				s.t = t
				for key, lun := range s.kernel {
					s.scan(key, lun)
				}
			},
			"detach": func(t *rapid.T) {
				s.t = t
				key := s.exported()
				released := s.letGo(key)
				delete(s.kernel, key)
				s.takeBack(key, released)
				delete(s.told, key)
			},
			"take back from a silent node": func(t *rapid.T) {
				s.t = t
				key := s.exported()
				delete(s.kernel, key)
				s.takeBack(key, 0)
			},
			"the node comes back": func(t *rapid.T) {
				s.t = t
				key := s.key()
				if _, mapped := s.kernel[key]; mapped || s.told[key] == 0 {
					return
				}
				s.takeBack(key, s.letGo(key))
				delete(s.told, key)
			},
			"kill the process": func(t *rapid.T) {
				s.t = t
				s.reopen()
			},
			"switch the machine off": func(t *rapid.T) {
				s.t = t
				clear(s.kernel)
				s.reopen()
			},
			"lose the file": func(t *rapid.T) {
				s.t = t
				if rapid.IntRange(0, 9).Draw(t, "luck") > 0 {
					t.Skip("it was not lost")
				}
				s.file.content = nil
				if rapid.Bool().Draw(t, "and the machine's power") {
					clear(s.kernel)
				}
				// What is mapped the kernel knows.
				s.lost = s.lost || len(s.kernel) == 0 || len(s.ledger.retirees()) > 0
				s.reopen()
			},
		})
		s.drain()
	})
}

func (s *san) takeBack(key Key, released uint16) {
	if _, err := s.ledger.TakeBack(key, released); err != nil {
		s.t.Fatal(err)
	}
}

// drain has every node let go of all it has: then nothing is kept.
func (s *san) drain() {
	for _, key := range slices.Collect(maps.Keys(s.told)) {
		delete(s.kernel, key)
		s.takeBack(key, s.letGo(key))
	}
	if exports, retired := s.ledger.Exports(), s.ledger.retirees(); len(exports)+len(retired) > 0 {
		s.t.Fatalf("still kept: %v, %v", exports, retired)
	}
}
