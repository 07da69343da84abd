// SPDX-License-Identifier: Apache-2.0

// Package dm asks the kernel's device mapper about its devices through ioctls
// on /dev/mapper/control (include/uapi/linux/dm-ioctl.h), without starting a
// process. A device is found by its UUID: a name is an alias that others change.
package dm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is a device-mapper device.
type Device struct {
	Name      string // "dm-0", the kernel's name
	Alias     string // the name below /dev/mapper
	UUID      string
	OpenCount int // how many have it open: mounts, processes, devices stacked on it
}

// ErrNotFound is the error for a UUID that no device has.
var ErrNotFound = errors.New("no such device-mapper device")

// ioctlHeader is struct dm_ioctl.
type ioctlHeader struct {
	version     [3]uint32
	dataSize    uint32
	dataStart   uint32
	targetCount uint32
	openCount   int32
	flags       uint32
	eventNr     uint32
	_           uint32
	dev         uint64
	name        [128]byte
	uuid        [129]byte
	_           [7]byte
}

// devStatus is DM_DEV_STATUS: _IOWR(0xfd, 7, struct dm_ioctl).
const devStatus = 0xc138fd07

// ByUUID returns the device with that UUID, or ErrNotFound.
func ByUUID(uuid string) (Device, error) {
	var h ioctlHeader
	if len(uuid) == 0 || len(uuid) >= len(h.uuid) {
		return Device{}, fmt.Errorf("%q is no device-mapper UUID", uuid)
	}
	// Any version 4 will do: the kernel checks the major number alone.
	h.version = [3]uint32{4, 0, 0}
	h.dataSize = uint32(unsafe.Sizeof(h))
	h.dataStart = h.dataSize
	copy(h.uuid[:], uuid)

	control, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return Device{}, fmt.Errorf("cannot ask the device mapper: %w", err)
	}
	defer control.Close()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), devStatus, uintptr(unsafe.Pointer(&h)))
	switch {
	case errno == unix.ENXIO:
		return Device{}, ErrNotFound
	case errno != 0:
		return Device{}, fmt.Errorf("cannot ask the device mapper for %s: %w", uuid, errno)
	}
	d := Device{Alias: text(h.name[:]), UUID: text(h.uuid[:]), OpenCount: int(h.openCount)}
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(h.dev), unix.Minor(h.dev)))
	if err != nil {
		return Device{}, ErrNotFound // removed since
	}
	d.Name = filepath.Base(link)
	if !strings.HasPrefix(d.Name, "dm-") {
		return Device{}, fmt.Errorf("%s is no device-mapper device", link)
	}
	return d, nil
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
