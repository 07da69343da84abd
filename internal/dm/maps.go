// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Path is a path of a map.
type Path struct {
	Major, Minor uint32
	Active       bool // the kernel sends I/O over it
	Fails        int  // how often it has failed since the table was loaded
}

// Map is a multipath map. A map that has no table yet, or one of another type, has
// no paths: no I/O reaches a disk through it.
type Map struct {
	Device
	Paths         []Path // in the order of the table
	QueueIfNoPath bool   // I/O waits, rather than fails, while no path is active
	SizeBytes     uint64
	Suspended     bool // I/O waits, whatever the paths are
}

// Maps returns the maps whose UUID begins with prefix. It costs two ioctls a map,
// and no map that hangs can make it wait. A map that goes while Maps looks may be
// left out.
func Maps(prefix string) ([]Map, error) {
	return ask(func(m *mapper) ([]Map, error) { return m.maps(prefix) })
}

// MapByUUID returns the map with that UUID, or ErrNotFound.
func MapByUUID(uuid string) (Map, error) {
	return ask(func(m *mapper) (Map, error) { return m.mapByUUID(uuid) })
}

func (m *mapper) maps(prefix string) ([]Map, error) {
	uuids, err := m.uuids(prefix)
	if err != nil {
		return nil, fmt.Errorf("cannot list the device mapper's devices: %w", err)
	}
	maps := make([]Map, 0, len(uuids))
	for _, uuid := range uuids {
		found, err := m.mapByUUID(uuid)
		if errors.Is(err, ErrNotFound) {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		maps = append(maps, found)
	}
	return maps, nil
}

// uuids lists the UUIDs that begin with prefix.
func (m *mapper) uuids(prefix string) ([]string, error) {
	h := header{flags: flagUUID}
	// A newer kernel leaves out what does not begin like this (5.13,
	// list_devices); an older one lists all.
	if fits(h.uuid[:], prefix) {
		copy(h.uuid[:], prefix)
	}
	data, err := m.call(listDevices, &h, nil)
	if err != nil {
		return nil, err
	}
	entries, err := parseNames(data)
	if err != nil {
		return nil, err
	}
	var uuids []string
	for _, e := range entries {
		if !e.known {
			h := header{dev: e.dev}
			if _, err := m.call(devStatus, &h, nil); errors.Is(err, unix.ENXIO) {
				continue // removed since
			} else if err != nil {
				return nil, err
			}
			e.uuid = text(h.uuid[:])
		}
		if e.uuid != "" && strings.HasPrefix(e.uuid, prefix) {
			uuids = append(uuids, e.uuid)
		}
	}
	return uuids, nil
}

func (m *mapper) mapByUUID(uuid string) (Map, error) {
	found, err := m.readMap(uuid)
	return found, failed("read", uuid, err)
}

// readMap asks for the status, which knows of each path, and for the table, which
// alone says whether I/O waits for a path (drivers/md/dm-mpath.c, multipath_status).
func (m *mapper) readMap(uuid string) (Map, error) {
	h, status, err := m.target(uuid, 0)
	if err != nil {
		return Map{}, err
	}
	found := Map{
		Device:    h.device(),
		SizeBytes: status.sectors * sectorSize,
		Suspended: h.flags&flagSuspended != 0,
	}
	if status.kind != "multipath" {
		return found, nil
	}
	if found.Paths, err = parseStatus(status.text); err != nil {
		return Map{}, err
	}
	_, table, err := m.target(uuid, flagStatusTable)
	if err != nil {
		return Map{}, err
	}
	found.QueueIfNoPath, err = parseQueueing(table.text)
	return found, err
}

// target asks for the only target of a device; it is the zero value if there is
// none or there are several, and so no multipath.
func (m *mapper) target(uuid string, flags uint32) (header, target, error) {
	h, err := headerFor(uuid)
	if err != nil {
		return h, target{}, err
	}
	// Without the flag a target may first write back what it has cached, and wait
	// for that (DM_NOFLUSH_FLAG).
	h.flags = flagNoFlush | flags
	data, err := m.call(tableStatus, &h, nil)
	if err != nil || h.targetCount != 1 {
		return h, target{}, err
	}
	t, err := parseTarget(data)
	return h, t, err
}
