// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Spec says what map to make.
type Spec struct {
	Name      string // below /dev/mapper
	UUID      string // multipathd takes a map for one of its own if this is "mpath-" and the WWID
	SizeBytes uint64
	Paths     []Number
}

// CreateMultipath makes a map that sends I/O over all its paths alike, each request
// to where the least is outstanding, and queues it while there is no path.
//
// The error is ErrExists if there is a device of that UUID, and ErrBusy if another
// device has the name, or a path is part of one, mounted, or opened exclusively. A
// map that cannot be made as a whole is removed again.
func CreateMultipath(s Spec) (Device, error) {
	return ask(func(m *mapper) (Device, error) { return m.createMultipath(s) })
}

func (m *mapper) createMultipath(s Spec) (Device, error) {
	d, err := m.create(s)
	if err != nil {
		return Device{}, fmt.Errorf("cannot make map %s: %w", s.Name, err)
	}
	return d, nil
}

func (m *mapper) create(s Spec) (Device, error) {
	if err := s.check(); err != nil {
		return Device{}, err
	}
	var h header
	copy(h.name[:], s.Name)
	copy(h.uuid[:], s.UUID)
	if _, err := m.call(devCreate, &h, nil); errors.Is(err, unix.EBUSY) { // dm_hash_insert
		return Device{}, m.inTheWay(s)
	} else if err != nil {
		return Device{}, fmt.Errorf("create the device: %w", err)
	}
	d, err := m.start(s)
	if err != nil {
		if removal := m.remove(s.UUID); removal != nil && !errors.Is(removal, ErrNotFound) {
			err = fmt.Errorf("%w; and what was made is left: %w", err, removal)
		}
		return Device{}, err
	}
	return d, nil
}

// start gives a new device its table, and lets it work.
func (m *mapper) start(s Spec) (Device, error) {
	// Not before the device was made: that tells a map which was made by somebody
	// faster, and has the paths, from one that must not have them. Without a table
	// the device is not yet known to udev (Linux 5.15, dm_setup_md_queue).
	if err := m.checkHolders(s); err != nil {
		return Device{}, err
	}
	h, err := headerFor(s.UUID)
	if err != nil {
		return Device{}, err
	}
	h.targetCount = 1
	table := target{sectors: s.SizeBytes / sectorSize, kind: "multipath", text: s.parameters()}
	if _, err := m.call(tableLoad, &h, table.bytes()); errors.Is(err, unix.EBUSY) {
		return Device{}, m.claimed(s)
	} else if err != nil {
		return Device{}, fmt.Errorf("load the table over %v: %w", s.Paths, err)
	}
	// DM_DEV_SUSPEND without its flag resumes.
	if h, err = headerFor(s.UUID); err != nil {
		return Device{}, err
	}
	if _, err := m.call(devSuspend, &h, nil); err != nil {
		return Device{}, fmt.Errorf("start the device: %w", err)
	}
	return h.device(), nil
}

// parameters are those of the multipath target: features, arguments of the
// hardware's handler, groups; and of the only group the selector, and each path
// with the number of requests after which the next path is considered.
func (s Spec) parameters() string {
	var b strings.Builder
	fmt.Fprintf(&b, "1 queue_if_no_path 0 1 1 service-time 0 %d 1", len(s.Paths))
	for _, p := range s.Paths {
		fmt.Fprintf(&b, " %v 1", p)
	}
	return b.String()
}

func (s Spec) check() error {
	var h header
	switch {
	case s.Name == "" || strings.Contains(s.Name, "/") || !fits(h.name[:], s.Name):
		return fmt.Errorf("%q is no name of a device: it has 1 to %d bytes and no slash", s.Name, len(h.name)-1)
	case s.UUID == "" || !fits(h.uuid[:], s.UUID):
		return fmt.Errorf("%q is no device-mapper UUID", s.UUID)
	case s.SizeBytes == 0 || s.SizeBytes%sectorSize != 0:
		return fmt.Errorf("a map of %d bytes: the size must be a multiple of %d", s.SizeBytes, sectorSize)
	case len(s.Paths) == 0:
		return errors.New("a map needs a path")
	}
	for i, p := range s.Paths {
		if slices.Contains(s.Paths[:i], p) {
			return fmt.Errorf("path %v is named twice", p)
		}
	}
	return nil
}

// checkHolders refuses paths that are part of another device. The kernel would not:
// the device mapper claims a disk for all its devices together (drivers/md/dm.c,
// _dm_claim_ptr), so that two maps may have one path.
func (m *mapper) checkHolders(s Spec) error {
	for _, p := range s.Paths {
		if holders, _ := os.ReadDir(m.holders(p)); len(holders) > 0 {
			return fmt.Errorf("path %v is part of %s: %w", p, holders[0].Name(), ErrBusy)
		}
	}
	return nil
}

// claimed says why the kernel refuses one of the paths: somebody has claimed it or
// a partition of it. Of who has mounted or opened it the kernel tells nothing.
func (m *mapper) claimed(s Spec) error {
	for _, p := range s.Paths {
		partitions := filepath.Join(filepath.Dir(m.holders(p)), "*", "holders", "*")
		if holders, _ := filepath.Glob(partitions); len(holders) > 0 {
			return fmt.Errorf("a partition of path %v is part of %s: %w", p, filepath.Base(holders[0]), ErrBusy)
		}
	}
	return fmt.Errorf("one of %v is mounted or opened exclusively: %w", s.Paths, ErrBusy)
}

// holders is the directory of the devices that a device is part of.
func (m *mapper) holders(n Number) string {
	return filepath.Join(m.sys, "dev", "block", n.String(), "holders")
}

// inTheWay says what device has kept a map from being made.
func (m *mapper) inTheWay(s Spec) error {
	if _, err := m.byUUID(s.UUID); !errors.Is(err, ErrNotFound) {
		return ErrExists
	}
	var h header
	copy(h.name[:], s.Name)
	if _, err := m.call(devStatus, &h, nil); err != nil {
		return ErrExists // it is gone since: the next attempt tells
	}
	return fmt.Errorf("the name is that of %s with UUID %q: %w", h.device().Name, text(h.uuid[:]), ErrBusy)
}
