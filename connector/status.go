// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// PathState tells how one expected path is.
type PathState string

// The states of a path.
const (
	PathUp          PathState = "up"          // identity proved, carries I/O
	PathJoining     PathState = "joining"     // session there; identity or map still to come
	PathDown        PathState = "down"        // was there, does not answer
	PathMissing     PathState = "missing"     // no session
	PathQuarantined PathState = "quarantined" // another identity answered, or another tool has it: not used
	PathDraining    PathState = "draining"    // no longer expected; still carries I/O until others have taken its place
)

// Path is one expected path of a volume and how it is.
type Path struct {
	Portal    netip.AddrPort
	NetDevice string // as in Portal
	State     PathState
	Disk      string // "sdb", or empty
	Reason    string // why it is not up
}

// Status is a volume's ledger: one Path for each Portal of the Volume, in that
// order, and after those each path that is draining, or that was not expected and had
// to be removed in the last half minute.
type Status struct {
	Ready  bool   // enough paths are up: the device may be used
	Device string // "/dev/mallee/NAME"; empty before enough paths of its map were verified
	Map    string // "dm-0"; empty while the kernel has no map
	// SizeBytes is what the device has; 0 while the kernel has no map.
	SizeBytes uint64
	// Growth says what the device waits for that has less than Volume.SizeBytes;
	// empty when it has that much.
	Growth string
	Paths  []Path
}

// Settled reports whether no path is left that is no longer expected.
func (s Status) Settled() bool {
	return !slices.ContainsFunc(s.Paths, func(p Path) bool { return p.State == PathDraining })
}

// Up returns how many of the expected paths are up.
func (s Status) Up() int {
	n := 0
	for _, p := range s.Paths {
		if p.State == PathUp {
			n++
		}
	}
	return n
}

// incomplete returns an error that says how many paths are up and why the
// others are not: "1 of 4 paths up; 10.108.1.201:3260: login timed out".
func (s Status) incomplete() error {
	var b strings.Builder
	expected := 0
	for _, p := range s.Paths {
		if p.State != PathDraining {
			expected++
		}
	}
	fmt.Fprintf(&b, "%d of %d paths up", s.Up(), expected)
	for _, p := range s.Paths {
		if p.State != PathUp {
			fmt.Fprintf(&b, "; %s %s: %s", p.Portal, p.State, p.Reason)
		}
	}
	return fmt.Errorf("%s", b.String())
}
