// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/durable"
	"github.com/mallee-io/mallee/internal/lio"
)

// maxLUN is the highest LUN given to an initiator. Up to 255 a LUN is written the
// same in every addressing method (SAM-5 §4.7), and initiators have had trouble
// beyond. LUN 0 is not given: an initiator asks it for the list of all LUNs, and
// scans may take it along unasked.
const maxLUN = 255

// errNoLUN says that an initiator has an export on each of its LUNs.
var errNoLUN = errors.New("the initiator has no LUN left")

// exportKey names an export.
type exportKey struct {
	volume    mallee.VolumeID
	initiator mallee.IQN
}

func keyOf(m lio.Mapping) exportKey { return exportKey{mallee.VolumeID(m.Backstore), m.Initiator} }

// exports is what this storage processor shall export, kept in a file, and which
// of it the kernel does export. It is safe for concurrent use.
type exports struct {
	file string
	// syncDir puts on disk what was renamed in a directory.
	syncDir func(dir string) error

	mu   sync.Mutex
	luns map[exportKey]uint16
	last map[mallee.IQN]uint16 // the LUN given last
	// chap is what each initiator proves itself with.
	chap map[mallee.IQN]mallee.CHAP
	// live has the exports that the kernel has. It is not kept: what was there
	// before a reboot is not there after it.
	live map[exportKey]bool
}

func newExports(file string) *exports {
	return &exports{
		file: file, syncDir: durable.SyncDir,
		luns: map[exportKey]uint16{}, last: map[mallee.IQN]uint16{},
		chap: map[mallee.IQN]mallee.CHAP{}, live: map[exportKey]bool{},
	}
}

// add returns the LUN of an export, a new one if there is none yet, and makes chap
// the secret of all exports of its initiator. Both are on disk when add returns, so
// that they outlive us even if the mapping follows later.
//
// A new LUN is the next after the one given last, round and round: what a node
// has not yet forgotten of an earlier volume is then not taken for this one.
func (e *exports) add(key exportKey, chap mallee.CHAP) (lun uint16, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	lun, there := e.luns[key]
	before := e.chap[key.initiator]
	if there && before == chap {
		return lun, nil
	}
	if !there {
		if lun, err = e.free(key.initiator); err != nil {
			return 0, err
		}
		e.luns[key], e.last[key.initiator] = lun, lun
	}
	e.chap[key.initiator] = chap
	if err := e.save(); err != nil {
		e.chap[key.initiator] = before
		if !there {
			delete(e.luns, key)
		}
		return 0, err
	}
	return lun, nil
}

// free returns the LUN that an initiator is given next; e.mu is held.
func (e *exports) free(initiator mallee.IQN) (uint16, error) {
	used := map[uint16]bool{}
	for k, lun := range e.luns {
		if k.initiator == initiator {
			used[lun] = true
		}
	}
	last := e.last[initiator]
	for i := range uint16(maxLUN) {
		if lun := (last+i)%maxLUN + 1; !used[lun] {
			return lun, nil
		}
	}
	return 0, errNoLUN
}

// secret returns what an initiator proves itself with, the zero CHAP if that is not
// known.
func (e *exports) secret(initiator mallee.IQN) mallee.CHAP {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.chap[initiator]
}

// setLive notes whether the kernel has an export, and reports whether that is new.
func (e *exports) setLive(key exportKey, live bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.live[key]
	if live {
		e.live[key] = true
	} else {
		delete(e.live, key)
	}
	return was != live
}

// adopt takes over what the kernel maps: initiators use it, so it is right
// whatever the file says. What the file has on such a LUN gives way: two on one
// LUN would be a file that the next start refuses. It is exported anew when it
// is asked for.
func (e *exports) adopt(live []lio.Mapping) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed, last := false, maps.Clone(e.last)
	for _, m := range live {
		key := keyOf(m)
		if key.check() != nil || m.LUN < 1 || m.LUN > maxLUN {
			continue
		}
		e.live[key] = true
		if e.luns[key] == m.LUN {
			continue
		}
		maps.DeleteFunc(e.luns, func(k exportKey, lun uint16) bool {
			return k.initiator == m.Initiator && lun == m.LUN
		})
		e.luns[key] = m.LUN
		changed = true
		// Which one was given last is known from the file, if at all: the highest in
		// use is not it once the numbers have begun again. Without a file the highest
		// is as good as any.
		if _, known := last[m.Initiator]; !known {
			e.last[m.Initiator] = max(e.last[m.Initiator], m.LUN)
		}
	}
	if !changed {
		return nil
	}
	return e.save()
}

// remove forgets an export and reports whether there was one.
func (e *exports) remove(key exportKey) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	lun, there := e.luns[key]
	if !there {
		return false, nil
	}
	delete(e.luns, key)
	if err := e.save(); err != nil {
		e.luns[key] = lun
		return false, err
	}
	delete(e.live, key)
	return true, nil
}

// initiators returns to whom a volume shall be exported, sorted.
func (e *exports) initiators(id mallee.VolumeID) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for key := range e.luns {
		if key.volume == id {
			all = append(all, string(key.initiator))
		}
	}
	slices.Sort(all)
	return all
}

// wanted returns what shall be exported, sorted by volume and initiator.
func (e *exports) wanted() []lio.Mapping {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sorted()
}

// established returns what of that the kernel does export, in the same order. It
// leaves out what nobody could log in for after a reboot, because the secret is not
// known, from a file that was lost for example: it is asked for again.
func (e *exports) established() []lio.Mapping {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(e.sorted(), func(m lio.Mapping) bool {
		return !e.live[keyOf(m)] || e.chap[m.Initiator] == mallee.CHAP{}
	})
}

func (e *exports) sorted() []lio.Mapping {
	keys := slices.SortedFunc(maps.Keys(e.luns), func(a, b exportKey) int {
		return cmp.Or(cmp.Compare(a.volume, b.volume), cmp.Compare(a.initiator, b.initiator))
	})
	all := make([]lio.Mapping, len(keys))
	for i, k := range keys {
		all[i] = lio.Mapping{Initiator: k.initiator, LUN: e.luns[k], Backstore: string(k.volume)}
	}
	return all
}
