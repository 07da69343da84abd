// SPDX-License-Identifier: Apache-2.0

// Package block knows the kernel's block devices as far as multipath storage
// needs them: the SCSI disks behind an iSCSI session, what a disk says of its own
// identity, who uses a device, and the events that tell of a change.
//
// A disk is a SCSI disk, one path to a LUN. A map is a device-mapper device.
package block

import (
	"path/filepath"
)

// Devices is the view of a machine's block devices. The zero value looks at the
// running system; tests look at a tree of their own. Its methods are safe for
// concurrent use.
type Devices struct {
	Sys, Dev, Proc string // replace /sys, /dev and /proc
}

func (d Devices) sys(elem ...string) string {
	return filepath.Join(append([]string{or(d.Sys, "/sys")}, elem...)...)
}

func (d Devices) dev(name string) string { return filepath.Join(or(d.Dev, "/dev"), name) }

func (d Devices) proc(elem ...string) string {
	return filepath.Join(append([]string{or(d.Proc, "/proc")}, elem...)...)
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
