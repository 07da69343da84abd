// SPDX-License-Identifier: Apache-2.0

// Package kerneltest plays the machine that package connector works on: iscsid and
// its sessions, the SCSI layer, the device mapper, udev and multipathd, and the SAN
// behind them. It lives in memory and in a testing/synctest bubble: what takes time
// takes the bubble's time, and how long is decided by the Kernel's seed alone.
//
//   - A unit is a logical unit of the SAN: an identity and its data.
//   - A disk is what the SCSI layer has made of a unit that it found at a LUN of a
//     session. It keeps the identity that it had then; I/O to it goes to whatever
//     unit is at that LUN now.
//   - A map is a device-mapper device over disks.
//   - A process is a run of the program under test. It can be killed at any call.
//   - A violation is what must never happen, whoever is to blame. An exposure is a
//     map that sends I/O to another unit than its own; it is measured.
//
// Everything is under one lock. No call holds it for longer than a moment, and none
// that a caller may make under a lock of its own takes time.
package kerneltest

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// Target is the name of the only target.
const Target = "iqn.2026-01.io.mallee:sp1"

// Options of a Kernel.
type Options struct {
	Seed    uint64
	Portals []netip.AddrPort
	// SlowUdev is how long udev may take for a device.
	SlowUdev time.Duration
	// Everything has multipathd make a map of every disk that it sees, as
	// "find_multipaths no" does, whether its identity is allowed or not.
	Everything bool
}

// Kernel is one machine and its SAN. It outlives the processes on it.
type Kernel struct {
	options Options
	start   time.Time

	mu      sync.Mutex
	draws   map[string]uint64
	process *Process // that runs
	history []string

	// The SAN.
	portals map[netip.AddrPort]*portal
	units   map[string]*Unit // by identity: the one that is meant by it
	secret  openiscsi.Secret // that it takes

	// The machine.
	records  map[openiscsi.Portal]openiscsi.Secret
	ifaces   map[string]bool
	sessions map[int]*session
	lastID   int
	maps     map[string]*dmMap // by UUID
	daemon   multipathd
	allowed  map[string]bool

	judge judge
}

// New returns a machine on which nothing has happened. It is called in the bubble.
func New(o Options) *Kernel {
	k := &Kernel{
		options: o, start: time.Now(), draws: map[string]uint64{},
		portals: map[netip.AddrPort]*portal{}, units: map[string]*Unit{},
		records: map[openiscsi.Portal]openiscsi.Secret{}, ifaces: map[string]bool{},
		sessions: map[int]*session{}, maps: map[string]*dmMap{}, allowed: map[string]bool{},
		judge: judge{Longest: map[string]time.Duration{}, kept: map[string]keeping{}, luns: map[string]uint64{}},
	}
	for _, addr := range o.Portals {
		k.portals[addr] = &portal{luns: map[uint64]*Unit{}}
	}
	k.daemon.paths = map[*disk]string{}
	k.daemon.check(k)
	return k
}

// takes returns how long something takes: between lo and hi, by the seed, by what it
// is and by how often it has been before. No two things end at the same instant.
func (k *Kernel) takes(what string, lo, hi time.Duration) time.Duration {
	k.draws[what]++
	h := fnv.New64a()
	fmt.Fprint(h, k.options.Seed, what, k.draws[what])
	n := h.Sum64()
	n ^= n >> 33 // FNV's high bits change little with its last byte
	n *= 0xff51afd7ed558ccd
	n ^= n >> 29
	return lo + time.Duration(n%uint64(max(hi-lo, time.Microsecond)))
}

// after has something happen later, under the lock.
func (k *Kernel) after(what string, lo, hi time.Duration, happen func()) {
	time.AfterFunc(k.takes(what, lo, hi), func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		happen()
		k.audit()
	})
}

// note adds a line to the history.
func (k *Kernel) note(format string, args ...any) {
	k.history = append(k.history, fmt.Sprintf("%9.3f ", time.Since(k.start).Seconds())+fmt.Sprintf(format, args...))
}

// Note adds a line to the history.
func (k *Kernel) Note(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note(format, args...)
}

// History returns what has happened.
func (k *Kernel) History() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.history...)
}

func byNumber(a, b *session) int { return cmp.Compare(a.id, b.id) }
