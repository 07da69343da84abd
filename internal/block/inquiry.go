// SPDX-License-Identifier: Apache-2.0

package block

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNoIdentity is the answer of a disk that names no NAA identity.
var ErrNoIdentity = errors.New("the device identification page names no NAA identity")

// WWID asks a disk for its identity by an INQUIRY of VPD page 0x83 and returns it
// as multipath writes it: "3" and the hexadecimal digits of the NAA designator
// (SPC-4 §7.8.6). It never looks at what the kernel has cached, which may be of
// a LUN that was there before. timeout bounds the command in the kernel.
func (d Devices) WWID(name string, timeout time.Duration) (string, error) {
	page, err := d.inquire(name, 0x83, timeout)
	if err != nil {
		return "", fmt.Errorf("cannot ask %s for its identity: %w", name, err)
	}
	id, err := parseIdentification(page)
	if err != nil {
		return "", fmt.Errorf("cannot ask %s for its identity: %w", name, err)
	}
	return id, nil
}

// parseIdentification finds the NAA designator of the logical unit in VPD page 0x83.
func parseIdentification(page []byte) (string, error) {
	if len(page) < 4 || page[1] != 0x83 {
		return "", errors.New("the answer is no device identification page")
	}
	end := 4 + int(page[2])<<8 + int(page[3])
	if end > len(page) {
		return "", errors.New("the device identification page is cut short")
	}
	for at := 4; at+4 <= end; {
		length := int(page[at+3])
		if at+4+length > end {
			return "", errors.New("a designator is cut short")
		}
		const (
			binary      = 1
			logicalUnit = 0
			naa         = 3
		)
		codeSet, association, kind := page[at]&0x0f, page[at+1]>>4&3, page[at+1]&0x0f
		if codeSet == binary && association == logicalUnit && kind == naa && length >= 8 {
			return "3" + hex.EncodeToString(page[at+4:at+4+length]), nil
		}
		at += 4 + length
	}
	return "", ErrNoIdentity
}

// parseSerial returns the unit serial number in VPD page 0x80 (SPC-4 §7.8.18), or ""
// if there is none. LIO ends it with a zero byte.
func parseSerial(page []byte) string {
	if len(page) < 4 || page[1] != 0x80 {
		return ""
	}
	text := page[4:]
	return strings.Trim(string(text[:min(len(text), int(page[2])<<8+int(page[3]))]), " \x00")
}

// sgHeader is struct sg_io_hdr of include/scsi/sg.h.
type sgHeader struct {
	interfaceID  int32
	direction    int32
	cmdLen       uint8
	maxSenseLen  uint8
	iovecCount   uint16
	dataLen      uint32
	data         unsafe.Pointer
	cmd          unsafe.Pointer
	sense        unsafe.Pointer
	timeout      uint32 // ms
	flags        uint32
	packID       int32
	_            [4]byte
	user         unsafe.Pointer
	status       uint8
	maskedStatus uint8
	msgStatus    uint8
	senseLen     uint8
	hostStatus   uint16
	driverStatus uint16
	residual     int32
	duration     uint32
	info         uint32
	_            [4]byte
}

const (
	sgIO         = 0x2285
	sgFromDevice = -3
)

// inquire sends INQUIRY with EVPD set (SPC-4 §6.6).
func (d Devices) inquire(name string, page byte, timeout time.Duration) ([]byte, error) {
	// O_NONBLOCK opens a disk that is not ready too, and starts no media check.
	file := d.dev(name)
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: file, Err: err}
	}
	defer unix.Close(fd)

	// Not the usual 252: with target names of some 80 characters the page that
	// LIO sends is longer.
	var data [1024]byte
	var sense [32]byte
	cmd := [6]byte{0x12, 1, page, byte(len(data) >> 8), byte(len(data) & 0xff), 0}
	h := sgHeader{
		interfaceID: 'S',
		direction:   sgFromDevice,
		cmdLen:      uint8(len(cmd)),
		maxSenseLen: uint8(len(sense)),
		dataLen:     uint32(len(data)),
		data:        unsafe.Pointer(&data[0]),
		cmd:         unsafe.Pointer(&cmd[0]),
		sense:       unsafe.Pointer(&sense[0]),
		timeout:     uint32(timeout.Milliseconds()),
	}
	// The kernel sees data, cmd and sense only through h: they must not move.
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&data[0])
	pin.Pin(&cmd[0])
	pin.Pin(&sense[0])
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), sgIO, uintptr(unsafe.Pointer(&h))); errno != 0 {
		return nil, errno
	}
	if h.status != 0 || h.hostStatus != 0 || h.driverStatus&0x0f != 0 {
		return nil, fmt.Errorf("INQUIRY failed: SCSI status %#x, host %#x, driver %#x", h.status, h.hostStatus, h.driverStatus)
	}
	return data[:len(data)-int(h.residual)], nil
}
