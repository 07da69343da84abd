// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"bytes"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// command is an ioctl of the device mapper.
type command uint8

const (
	listDevices   command = 2
	devCreate     command = 3
	devRemove     command = 4
	devSuspend    command = 6
	devStatus     command = 7
	tableLoad     command = 9
	tableStatus   command = 12
	targetMessage command = 14
)

// Flags of a request and of its answer.
const (
	flagSuspended   = 1 << 1
	flagStatusTable = 1 << 4 // the table, rather than the status of its targets
	flagBufferFull  = 1 << 8
	flagNoFlush     = 1 << 11
	flagUUID        = 1 << 14 // with listDevices: UUIDs too
)

// header is struct dm_ioctl, with which each request and each answer begins.
type header struct {
	version     [3]uint32
	dataSize    uint32 // of header and data
	dataStart   uint32
	targetCount uint32
	openCount   int32
	flags       uint32
	// eventNr is the udev cookie of a request that makes a uevent, and always zero
	// here. A cookie is a semaphore on which its owner waits for udev, and has
	// udev's rules start dmsetup twice (55-dm.rules or 10-dm.rules, 95-dm-notify.rules).
	eventNr uint32
	_       uint32
	dev     uint64
	name    [128]byte
	uuid    [129]byte
	_       [7]byte
}

const headerSize = 312

func (h *header) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(h)), headerSize) }

// headerFor returns the header of a request about the device with that UUID.
func headerFor(uuid string) (header, error) {
	var h header
	if len(uuid) == 0 || !fits(h.uuid[:], uuid) {
		return h, fmt.Errorf("%q is no device-mapper UUID", uuid)
	}
	copy(h.uuid[:], uuid)
	return h, nil
}

// fits reports whether s fits into a field with the zero byte that ends it.
func fits(field []byte, s string) bool {
	return len(s) < len(field) && bytes.IndexByte([]byte(s), 0) < 0
}

// device returns the device that an answer is about. A device is called "dm-" and
// its minor number (drivers/md/dm.c, alloc_dev).
func (h *header) device() Device {
	return Device{
		Name:      fmt.Sprintf("dm-%d", unix.Minor(h.dev)),
		Alias:     text(h.name[:]),
		UUID:      text(h.uuid[:]),
		OpenCount: int(h.openCount),
	}
}

// text returns what is before the first zero byte of b.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// mapper asks one kernel. It is for one goroutine.
type mapper struct {
	// ioctl carries out a request, and leaves the answer in its place.
	ioctl func(command, []byte) error
	sys   string // what stands for /sys

	buffer []byte // kept from one request to the next
}

// controlFile is how the device mapper is asked.
const controlFile = "/dev/mapper/control"

// ask opens the control file for one question. To open it costs no more than an
// ioctl does; to hold it would gain nothing that can be noticed.
func ask[T any](question func(*mapper) (T, error)) (T, error) {
	// Not os.OpenFile: it would have the runtime poll the file, which can be polled.
	fd, err := unix.Open(controlFile, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		var none T
		return none, fmt.Errorf("cannot ask the device mapper: open %s: %w", controlFile, err)
	}
	defer unix.Close(fd)
	return question(&mapper{ioctl: ioctlOn(fd), sys: "/sys"})
}

// ioctlOn carries out requests on the open control file fd.
func ioctlOn(fd int) func(command, []byte) error {
	return func(c command, b []byte) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), c.request(), uintptr(unsafe.Pointer(&b[0])))
		if errno != 0 {
			return errno
		}
		return nil
	}
}

// request is _IOWR(0xfd, c, struct dm_ioctl).
func (c command) request() uintptr { return 3<<30 | headerSize<<16 | 0xfd<<8 | uintptr(c) }

// Answers are given room for a map of a dozen paths at first, and then for as much
// as the kernel may ever have to say: 4 MB hold the names of 10,000 devices.
const (
	leastRoom = 4 << 10
	mostRoom  = 4 << 20
)

// call sends a request with its data. It returns the answer's data, which is good
// until the next call; the answer's header replaces that of the request.
func (m *mapper) call(c command, h *header, data []byte) ([]byte, error) {
	asked := *h
	for room := max(leastRoom, len(m.buffer), headerSize+len(data)); ; room *= 2 {
		if room > mostRoom {
			return nil, fmt.Errorf("the answer is longer than %d bytes", mostRoom)
		}
		if len(m.buffer) < room {
			m.buffer = make([]byte, room)
		}
		*h = asked
		// Any version 4 will do: the kernel checks the major number alone.
		h.version = [3]uint32{4, 0, 0}
		h.dataSize = uint32(len(m.buffer))
		h.dataStart = headerSize
		clear(m.buffer)
		copy(m.buffer, h.bytes())
		copy(m.buffer[headerSize:], data)
		if err := m.ioctl(c, m.buffer); err != nil {
			return nil, err
		}
		copy(h.bytes(), m.buffer)
		if h.flags&flagBufferFull == 0 {
			break
		}
	}
	if h.dataStart > h.dataSize || h.dataSize > uint32(len(m.buffer)) {
		// What has no data may say so by any number (DM_DEV_REMOVE: 0).
		return nil, nil
	}
	return m.buffer[h.dataStart:h.dataSize], nil
}
