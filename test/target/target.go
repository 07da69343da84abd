// SPDX-License-Identifier: Apache-2.0

// Package target steers an iSCSI target of the kernel (LIO, through configfs) the
// way an array's admin may, and the way one should not: what is behind a LUN is
// swapped under live sessions, identities are given twice, a backstore hangs.
//
// A backstore is storage with an identity. A target is an IQN; it has portal
// groups (TPG), and each has portals and a table of LUNs of its own. With one
// group for each portal, what one path leads to is changed apart from the others.
// Everybody may log in.
//
// Operations do the work, in the machine that is the SAN; a SAN, on the host, has it
// done. The package knows nothing of the product's storage processor on purpose: what is
// tested against it must stand up to arrays of others.
package target

import (
	"fmt"
	"net/netip"
)

// Backstore is storage with an identity.
type Backstore struct {
	Name      string
	SizeBytes uint64
	// Serial is 32 hexadecimal digits, of which the first 25 become the WWID; two
	// backstores may have the same.
	Serial string
	// Vendor and Product are what an INQUIRY shows; empty means those of the
	// product's volumes, "MALLEE" and "volume".
	Vendor, Product string
	// Text stands at the beginning of each 512 bytes, if it is not empty.
	Text string
	// Slow puts the backstore on a device that can be suspended. The others are
	// files in memory, and quicker to make.
	Slow bool
}

// WWID returns the identity that initiators see, as multipath writes it
// (drivers/target/target_core_spc.c, spc_gen_naa_6h_vendor_specific).
func (b Backstore) WWID() string { return "36001405" + b.Serial[:25] }

// Serial returns a serial whose WWID looks like that of the product's volume n.
func Serial(n int) string { return fmt.Sprintf("6d6c6c65fffffffff%08x0000000", n) }

// TPG is a portal group of a target.
type TPG struct {
	IQN     string
	Tag     uint16 // 1 is the first
	Portals []netip.AddrPort
}

// Seat is a LUN of a portal group.
type Seat struct {
	IQN string
	Tag uint16
	LUN uint16
}

// The operations of the role san, with their arguments; none has a result.
const (
	opMake    = "make"    // wanted
	opOpen    = "open"    // TPG
	opMap     = "map"     // change
	opSwap    = "swap"    // change
	opUnmap   = "unmap"   // change
	opSuspend = "suspend" // string, the name of a backstore
	opResume  = "resume"  // the same
)

// wanted are backstores to make; slow ones are slices of the machine's disk.
type wanted struct {
	Disk       string // device
	Backstores []Backstore
}

// change puts a backstore, by its name, behind seats, or takes away what is there.
type change struct {
	Backstore string
	Seats     []Seat
}
