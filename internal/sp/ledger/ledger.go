// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps which LUN of which initiator is which volume's, so that no
// initiator ever finds one volume where it still has a disk of another.
//
// A seat is a LUN of an initiator. It is free, or exported: the volume is offered
// there, or retired: the volume was taken back, and the initiator has not confirmed
// that it has no disk there any more. An initiator asks for the identity of a disk
// when it finds it and not with each command, so that whatever came to the seat of
// a stale disk would be read and written as the volume that was there before. A
// retired seat is therefore nobody's but that volume's until it is released.
//
// A ledger also keeps each initiator's secret, since both must outlive a reboot.
package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mallee-io/mallee"
)

// MaxLUN is the highest LUN that is given. Initiator and target, both of Linux, take
// the first two bytes of a LUN for a number (int_to_scsilun in
// drivers/scsi/scsi_common.c); beyond this one these bytes would tell another
// addressing method than the one they are meant in (SAM-5 §4.7.4).
const MaxLUN = 1<<14 - 1

// plainLUN is the highest LUN that is written the same in every addressing method
// (SAM-5 §4.7). Higher ones are given only to an initiator that has all of these.
const plainLUN = 255

// ErrNoLUN says that an initiator has no free seat.
var ErrNoLUN = errors.New("the initiator has no LUN left")

// Key names an export.
type Key struct {
	Volume    mallee.VolumeID
	Initiator mallee.IQN
}

// Export is a volume at a seat, exported or retired.
type Export struct {
	Key
	LUN uint16
}

// seat is a LUN of an initiator.
type seat struct {
	initiator mallee.IQN
	lun       uint16
}

// Ledger is what a storage processor shall export. What it returns is in its file
// before. It is safe for concurrent use.
type Ledger struct {
	file File

	mu sync.Mutex
	book
}

// book is what is kept. No seat is in both of exported and retired.
type book struct {
	exported map[Key]uint16
	retired  map[seat]mallee.VolumeID
	last     map[mallee.IQN]uint16 // the LUN given last
	chap     map[mallee.IQN]mallee.CHAP
}

// Add returns the LUN of an export and makes chap the secret of all exports of its
// initiator. An export that there is keeps its LUN, and one that was taken back and
// not released returns to it: the disk that the initiator may still have there is
// that volume's.
//
// Held is what the initiator may have disks of, by LUN, as far as the caller knows.
// It counts for seats that are free here, after the file was lost for example:
// these are retired at once.
//
// A new LUN is the next after the one given last, round and round, so that a seat
// comes to another volume as late as possible. An initiator without a free seat
// is ErrNoLUN.
func (l *Ledger) Add(key Key, chap mallee.CHAP, held map[uint16]mallee.VolumeID) (lun uint16, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.clone()
	next.hold(key.Initiator, held)
	next.chap[key.Initiator] = chap
	if lun, err = next.give(key); err != nil {
		return 0, err
	}
	return lun, l.keep(next)
}

// Taken is what TakeBack has changed.
type Taken struct {
	Ended   bool   // there was an export
	Retired uint16 // the LUN that is retired now; 0 for none
	Freed   uint16 // the LUN that is free now; 0 for none
}

// TakeBack ends an export, if there is one. Its seat is retired unless released is
// its LUN: that of which the initiator has confirmed that it has no disk of the
// volume there. One that was retired before is freed by that, too.
func (l *Ledger) TakeBack(key Key, released uint16) (t Taken, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.clone()
	if t.Retired, t.Ended = next.exported[key]; t.Ended {
		delete(next.exported, key)
		next.retired[seat{key.Initiator, t.Retired}] = key.Volume
	}
	if s := (seat{key.Initiator, released}); next.retired[s] == key.Volume {
		delete(next.retired, s)
		t.Freed = released
		if t.Retired == released {
			t.Retired = 0
		}
	}
	if err := l.keep(next); err != nil {
		return Taken{}, err
	}
	return t, nil
}

// Adopt takes over what the kernel offers: initiators use it, so it is right
// whatever the file says. What the file has on such a seat gives way: two on one
// would be a file that the next start refuses. It is exported anew when it
// is asked for.
func (l *Ledger) Adopt(live []Export) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.clone()
	for _, e := range live {
		if e.valid() == nil {
			next.adopt(e, l.last)
		}
	}
	return l.keep(next)
}

// adopt has e exported. Known has the LUNs given last that the file tells.
func (b book) adopt(e Export, known map[mallee.IQN]uint16) {
	at := seat{e.Initiator, e.LUN}
	had, was := b.exported[e.Key]
	if was && had == e.LUN {
		return
	}
	maps.DeleteFunc(b.exported, func(k Key, lun uint16) bool { return at == seat{k.Initiator, lun} })
	delete(b.retired, at)
	if was {
		b.retired[seat{e.Initiator, had}] = e.Volume
	}
	b.exported[e.Key] = e.LUN
	// Which one was given last is known from the file, if at all: the highest in
	// use is not it once the numbers have begun again. Without a file the highest
	// is as good as any.
	if _, told := known[e.Initiator]; !told {
		b.last[e.Initiator] = max(b.last[e.Initiator], e.LUN)
	}
}

// hold retires what an initiator may hold on seats that are free.
func (b book) hold(initiator mallee.IQN, held map[uint16]mallee.VolumeID) {
	if len(held) == 0 {
		return
	}
	taken := b.taken(initiator)
	for lun, volume := range held {
		if e := (Export{Key{volume, initiator}, lun}); !taken[lun] && e.valid() == nil {
			b.retired[seat{initiator, lun}] = volume
		}
	}
}

// give returns the LUN of key, which is exported from then on.
func (b book) give(key Key) (uint16, error) {
	if lun, there := b.exported[key]; there {
		return lun, nil
	}
	var lun uint16
	for s, volume := range b.retired {
		// The lowest, so that it is the same each time.
		if key == (Key{volume, s.initiator}) && (lun == 0 || s.lun < lun) {
			lun = s.lun
		}
	}
	if lun == 0 {
		var err error
		if lun, err = b.free(key.Initiator); err != nil {
			return 0, err
		}
		b.last[key.Initiator] = lun
	}
	delete(b.retired, seat{key.Initiator, lun})
	b.exported[key] = lun
	return lun, nil
}

// free returns the LUN that an initiator is given next. LUN 0 is not given: an
// initiator asks it for the list of all LUNs, and scans may take it along unasked.
func (b book) free(initiator mallee.IQN) (uint16, error) {
	taken, last := b.taken(initiator), b.last[initiator]
	for _, highest := range []uint16{plainLUN, MaxLUN} {
		for i := range highest {
			if lun := (last+i)%highest + 1; !taken[lun] {
				return lun, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: it has %d exports, and %d LUNs are kept for volumes that were taken from it: each is free again when its node is connected and has confirmed that it has let go",
		ErrNoLUN, len(taken)-b.kept(initiator), b.kept(initiator))
}

// taken returns the LUNs of an initiator that are not free.
func (b book) taken(initiator mallee.IQN) map[uint16]bool {
	taken := map[uint16]bool{}
	for k, lun := range b.exported {
		if k.Initiator == initiator {
			taken[lun] = true
		}
	}
	for s := range b.retired {
		if s.initiator == initiator {
			taken[s.lun] = true
		}
	}
	return taken
}

func (b book) kept(initiator mallee.IQN) (n int) {
	for s := range b.retired {
		if s.initiator == initiator {
			n++
		}
	}
	return n
}

func (b book) clone() book {
	return book{maps.Clone(b.exported), maps.Clone(b.retired), maps.Clone(b.last), maps.Clone(b.chap)}
}

func (b book) equal(o book) bool {
	return maps.Equal(b.exported, o.exported) && maps.Equal(b.retired, o.retired) &&
		maps.Equal(b.last, o.last) && maps.Equal(b.chap, o.chap)
}

// Secret returns what an initiator proves itself with, the zero CHAP if that is not
// known.
func (l *Ledger) Secret(initiator mallee.IQN) mallee.CHAP {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.chap[initiator]
}

// Initiators returns to whom a volume shall be exported, sorted.
func (l *Ledger) Initiators(id mallee.VolumeID) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for key := range l.exported {
		if key.Volume == id {
			all = append(all, string(key.Initiator))
		}
	}
	slices.Sort(all)
	return all
}

// Exports returns what shall be exported, sorted by volume and initiator.
func (l *Ledger) Exports() []Export {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.exports()
}

// Retired returns the seats that wait for their release, sorted by volume,
// initiator and LUN. It leaves out those of a volume that is exported to the same
// initiator at another seat: to have it let go of the one would take the other.
func (l *Ledger) Retired() []Export {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(l.retirees(), func(e Export) bool {
		_, exported := l.exported[e.Key]
		return exported
	})
}
