// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sectorSize is the unit of tables, whatever the blocks of a disk are.
const sectorSize = 512

var errCut = errors.New("the kernel's answer ends early")

// nameEntry is an entry of the list of devices.
type nameEntry struct {
	dev   uint64
	uuid  string
	known bool // whether uuid holds the UUID: an older kernel does not tell
}

// Flags of an entry of the list of devices.
const (
	entryHasUUID = 1 << 0
	entryNoUUID  = 1 << 1
)

// parseNames reads the answer to listDevices, a chain of struct dm_name_list:
// number, offset of the next entry, and name; then, each at a multiple of eight,
// the number of the last event with flags, and the UUID.
func parseNames(data []byte) ([]nameEntry, error) {
	const nameStart = 12
	var entries []nameEntry
	if len(data) == 0 { // there is no device: the zero below is not counted
		return nil, nil
	}
	for {
		if len(data) < nameStart {
			return entries, errCut
		}
		e := nameEntry{dev: binary.NativeEndian.Uint64(data)}
		if e.dev == 0 { // "flags no data" (drivers/md/dm-ioctl.c, list_devices)
			return entries, nil
		}
		next := binary.NativeEndian.Uint32(data[8:])
		entry := data
		if next != 0 {
			if next < nameStart || uint64(next) > uint64(len(data)) {
				return entries, fmt.Errorf("the kernel's list of devices goes on at %d of %d bytes", next, len(data))
			}
			entry = data[:next]
		}
		name := bytes.IndexByte(entry[nameStart:], 0)
		if name < 0 {
			return entries, errCut
		}
		// A kernel before 4.13 ends the entry here.
		if rest := entry[min(align(nameStart+name+1), len(entry)):]; len(rest) >= 8 {
			switch flags := binary.NativeEndian.Uint32(rest[4:]); {
			case flags&entryHasUUID != 0:
				e.uuid, e.known = text(rest[8:]), true
			case flags&entryNoUUID != 0:
				e.known = true
			}
		}
		entries = append(entries, e)
		if next == 0 {
			return entries, nil
		}
		data = data[next:]
	}
}

func align(n int) int { return (n + 7) &^ 7 }

// target is a part of a table: what is done with a range of sectors.
type target struct {
	sectors uint64
	kind    string
	text    string // its parameters, or its status
}

// targetSize is that of struct dm_target_spec.
const targetSize = 40

// parseTarget reads the first struct dm_target_spec of the answer to tableStatus.
func parseTarget(data []byte) (target, error) {
	if len(data) < targetSize {
		return target{}, errCut
	}
	return target{
		sectors: binary.NativeEndian.Uint64(data[8:]),
		kind:    text(data[24:targetSize]),
		text:    text(data[targetSize:]),
	}, nil
}

// bytes is the opposite, for a table that has no other target.
func (t target) bytes() []byte {
	b := make([]byte, align(targetSize+len(t.text)+1))
	binary.NativeEndian.PutUint64(b[8:], t.sectors)
	copy(b[24:targetSize-1], t.kind)
	copy(b[targetSize:], t.text)
	return b
}

// parseStatus reads the status of a multipath target (drivers/md/dm-mpath.c,
// multipath_status, STATUSTYPE_INFO):
//
//	FEATURES [feature]... HANDLER [argument]... GROUPS next-group
//	  { A|D|E SELECTOR [argument]... PATHS ARGUMENTS { MAJOR:MINOR A|F fails [argument]... }... }...
//
// where a word in capitals is the number of what follows.
func parseStatus(status string) ([]Path, error) {
	w := words{rest: strings.Fields(status)}
	w.skip(w.number())
	w.skip(w.number())
	groups := w.number()
	w.skip(1)
	var paths []Path
	for ; groups > 0 && w.err == nil; groups-- {
		w.skip(1)
		w.skip(w.number())
		count, arguments := w.number(), w.number()
		for ; count > 0 && w.err == nil; count-- {
			paths = append(paths, w.path())
			w.skip(arguments)
		}
	}
	if w.err != nil {
		return nil, fmt.Errorf("cannot read the multipath status %q: %w", status, w.err)
	}
	return paths, nil
}

// parseQueueing reads from the parameters of a multipath target whether I/O waits
// while there is no path. They begin with the number of features.
func parseQueueing(parameters string) (bool, error) {
	w := words{rest: strings.Fields(parameters)}
	features := w.take(w.number())
	if w.err != nil {
		return false, fmt.Errorf("cannot read the multipath table %q: %w", parameters, w.err)
	}
	return slices.Contains(features, "queue_if_no_path"), nil
}

// words takes a text apart, until the first error.
type words struct {
	rest []string
	err  error
}

func (w *words) take(n int) []string {
	if w.err == nil && n > len(w.rest) {
		w.err = errCut
	}
	if w.err != nil {
		return nil
	}
	taken := w.rest[:n]
	w.rest = w.rest[n:]
	return taken
}

func (w *words) skip(n int) { w.take(n) }

func (w *words) number() int {
	word := w.take(1)
	if w.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(word[0], 10, 31) // an int, and not negative, on any machine
	if err != nil {
		w.err = fmt.Errorf("%q is no number", word[0])
	}
	return int(n)
}

func (w *words) path() Path {
	word := w.take(2)
	fails := w.number()
	if w.err != nil {
		return Path{}
	}
	number, err := parseNumber(word[0])
	if err == nil && word[1] != "A" && word[1] != "F" {
		err = fmt.Errorf("%q is no state of a path", word[1])
	}
	w.err = err
	return Path{Major: number.Major, Minor: number.Minor, Active: word[1] == "A", Fails: fails}
}

func parseNumber(s string) (Number, error) {
	major, minor, _ := strings.Cut(s, ":")
	a, err := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	if err != nil || err2 != nil {
		return Number{}, fmt.Errorf("%q is no device number", s)
	}
	return Number{Major: uint32(a), Minor: uint32(b)}, nil
}
