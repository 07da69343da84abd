// SPDX-License-Identifier: Apache-2.0

package hands

import (
	"net/netip"
	"time"
)

// The operations of the floor: what an attach and a detach cost when nothing is
// done but what must be. One iscsiadm for all logins, a write to sysfs for each
// scan, the map by ioctl. No proof of identity, no link, no wait for multipathd.
const (
	OpFloorPrepare = "floor-prepare" // Floor → None: the records for a cold attach
	OpFloorAttach  = "floor-attach"  // Floor → Floored
	OpFloorDetach  = "floor-detach"  // Floor → Floored
)

// Floor is what to attach.
type Floor struct {
	// Iface is the name of the iface record, and so of the sessions.
	Iface   string
	Target  string
	Portals []netip.AddrPort
	LUN     uint16
	WWID    string
	// Cold logs in first, or out at last.
	Cold bool
}

// Floored tells when the steps of it had ended, counted from its begin.
type Floored struct {
	LoggedIn time.Duration // or out
	Scanned  time.Duration // or deleted: all disks
	Mapped   time.Duration // or removed: the map
	Took     time.Duration
}
