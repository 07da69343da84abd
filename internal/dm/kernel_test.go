// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel plays the device mapper of drivers/md/dm-ioctl.c, on the bytes of its
// requests and answers.
type kernel struct {
	t       *testing.T
	sys     string
	devices []*device
	minor   uint32
	taken   map[string]bool   // paths that somebody has open exclusively
	errs    map[command]error // requests that fail
	noUUIDs bool              // the list is that of a kernel before 5.13
	asked   []command
	before  func(command) // what happens just before a request
}

type device struct {
	name, uuid   string
	minor        uint32
	open         int32
	loaded, live target // the table that waits, and the one in use
	hasTable     bool
	status       string // of the live table
	suspended    bool
	messages     []string
	targets      uint32 // 0 stands for 1
}

func newKernel(t *testing.T) (*kernel, *mapper) {
	k := &kernel{t: t, sys: t.TempDir(), taken: map[string]bool{}, errs: map[command]error{}}
	return k, &mapper{ioctl: k.ioctl, sys: k.sys}
}

// multipath has a map made by somebody else.
func (k *kernel) multipath(name, uuid, table, status string) *device {
	d := &device{
		name: name, uuid: uuid, minor: k.minor, hasTable: true, status: status,
		live: target{sectors: 2048, kind: "multipath", text: table},
	}
	k.minor++
	k.devices = append(k.devices, d)
	return d
}

// hold makes a device a holder of a path, in sysfs.
func (k *kernel) hold(path, holder string) {
	k.t.Helper()
	if err := os.MkdirAll(filepath.Join(k.sys, "dev/block", path, holder), 0o755); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kernel) find(h *header) *device {
	if uuid := text(h.uuid[:]); uuid != "" {
		if h.name[0] != 0 || h.dev != 0 {
			return nil // __find_device_hash_cell
		}
		return k.first(func(d *device) bool { return d.uuid == uuid })
	}
	if name := text(h.name[:]); name != "" {
		return k.first(func(d *device) bool { return d.name == name })
	}
	return k.first(func(d *device) bool { return number(d) == h.dev })
}

func (k *kernel) first(f func(*device) bool) *device {
	if i := slices.IndexFunc(k.devices, f); i >= 0 {
		return k.devices[i]
	}
	return nil
}

func number(d *device) uint64 { return unix.Mkdev(254, d.minor) }

func (k *kernel) ioctl(c command, b []byte) error {
	k.asked = append(k.asked, c)
	if k.before != nil {
		k.before(c)
	}
	if err := k.errs[c]; err != nil {
		return err
	}
	var h header
	copy(h.bytes(), b)
	if h.version[0] != 4 || int(h.dataSize) != len(b) || h.eventNr != 0 {
		k.t.Errorf("request %d has version %v, size %d of %d, cookie %d", c, h.version, h.dataSize, len(b), h.eventNr)
	}
	data, err := k.answer(c, &h, b[h.dataStart:h.dataSize])
	if err != nil {
		return err
	}
	if h.dataSize = headerSize + uint32(len(data)); int(h.dataSize) > len(b) {
		h.flags |= flagBufferFull
		h.dataSize = headerSize
	}
	copy(b, h.bytes())
	copy(b[h.dataStart:], data)
	return nil
}

func (k *kernel) answer(c command, h *header, data []byte) ([]byte, error) {
	switch c {
	case listDevices:
		return k.list(h), nil
	case devCreate:
		name, uuid := text(h.name[:]), text(h.uuid[:])
		if k.first(func(d *device) bool { return d.name == name || d.uuid == uuid }) != nil {
			return nil, unix.EBUSY
		}
		k.devices = append(k.devices, &device{name: name, uuid: uuid, minor: k.minor})
		k.minor++
		return nil, nil
	}
	d := k.find(h)
	if d == nil {
		return nil, unix.ENXIO
	}
	answer, err := k.answerFor(c, h, d, data)
	copy(h.name[:], d.name)
	copy(h.uuid[:], d.uuid)
	h.dev, h.openCount = number(d), d.open
	h.flags &^= flagSuspended
	if d.suspended {
		h.flags |= flagSuspended
	}
	return answer, err
}

func (k *kernel) answerFor(c command, h *header, d *device, data []byte) ([]byte, error) {
	switch c {
	case devRemove:
		if d.open > 0 {
			return nil, unix.EBUSY
		}
		k.devices = slices.DeleteFunc(k.devices, func(other *device) bool { return other == d })
	case tableLoad:
		table, err := parseTarget(data)
		if err != nil || h.targetCount != 1 || table.kind != "multipath" {
			return nil, unix.EINVAL
		}
		for path := range k.taken {
			if slices.Contains(strings.Fields(table.text), path) {
				return nil, unix.EBUSY
			}
		}
		d.loaded = table
	case devSuspend:
		d.suspended = h.flags&flagSuspended != 0
		if d.loaded.kind != "" {
			d.live, d.loaded, d.hasTable = d.loaded, target{}, true
		}
	case tableStatus:
		if h.flags&flagNoFlush == 0 {
			k.t.Error("the status of a table is asked for so that it waits for I/O")
		}
		if !d.hasTable {
			h.targetCount = 0
			return nil, nil
		}
		answer := d.live
		if h.flags&flagStatusTable == 0 {
			answer.text = d.status
		}
		h.targetCount = max(1, d.targets)
		return answer.bytes(), nil
	case targetMessage:
		d.messages = append(d.messages, fmt.Sprint(binary.NativeEndian.Uint64(data), " ", text(data[8:])))
	}
	return nil, nil
}

func (k *kernel) list(h *header) []byte {
	var b []byte
	last := -1
	for _, d := range k.devices {
		if !k.noUUIDs && !strings.HasPrefix(d.uuid, text(h.uuid[:])) {
			continue
		}
		start := len(b)
		if last >= 0 {
			binary.NativeEndian.PutUint32(b[last+8:], uint32(start-last))
		}
		last = start
		b = binary.NativeEndian.AppendUint64(b, number(d))
		b = binary.NativeEndian.AppendUint32(b, 0)
		b = pad(append(append(b, d.name...), 0))
		b = binary.NativeEndian.AppendUint32(b, 7) // the last event
		switch {
		case k.noUUIDs || h.flags&flagUUID == 0:
			b = binary.NativeEndian.AppendUint32(b, 0)
		case d.uuid == "":
			b = binary.NativeEndian.AppendUint32(b, entryNoUUID)
		default:
			b = binary.NativeEndian.AppendUint32(b, entryHasUUID)
			b = pad(append(append(b, d.uuid...), 0))
		}
	}
	return b
}

func pad(b []byte) []byte { return append(b, bytes.Repeat([]byte{0}, align(len(b))-len(b))...) }

// The number of an ioctl holds the size of its argument: one of another size would
// be refused by every kernel, and is better found here.
func TestRequestIsTheKernels(t *testing.T) {
	if size := unsafe.Sizeof(header{}); size != headerSize {
		t.Errorf("struct dm_ioctl is %d bytes here, want %d", size, headerSize)
	}
	if got := devStatus.request(); got != 0xc138fd07 {
		t.Errorf("DM_DEV_STATUS is %#x, want 0xc138fd07", got)
	}
}
