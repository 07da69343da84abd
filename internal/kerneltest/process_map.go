// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
)

// Mapper is the device mapper as a process sees it.
type Mapper struct{ *Process }

// Maps returns the multipath maps whose UUID begins with prefix.
func (p Mapper) Maps(prefix string) (list []dm.Map, err error) {
	err = p.now(func() error {
		for _, m := range p.mapList() {
			if strings.HasPrefix(m.uuid, prefix) {
				list = append(list, table(m))
			}
		}
		return nil
	})
	return list, err
}

// MapByUUID returns the map of a UUID.
func (p Mapper) MapByUUID(uuid string) (found dm.Map, err error) {
	err = p.now(func() error {
		m := p.maps[uuid]
		if m == nil {
			return dm.ErrNotFound
		}
		found = table(m)
		return nil
	})
	return found, err
}

func table(m *dmMap) dm.Map {
	t := dm.Map{
		Device:        dm.Device{Name: m.name(), Alias: m.alias, UUID: m.uuid, OpenCount: m.opens},
		QueueIfNoPath: m.queue, SizeBytes: m.size,
	}
	for _, p := range m.paths {
		t.Paths = append(t.Paths, dm.Path{Major: 8, Minor: p.disk.minor, Active: p.active, Fails: p.fails})
	}
	return t
}

// CreateMultipath makes a map: a device, its table, and then it runs. A process that
// is killed in between leaves what it has made.
func (p Mapper) CreateMultipath(s dm.Spec) (dm.Device, error) {
	var m *dmMap
	p.begins(s)
	ioctl := func(happen func() error) error {
		return p.do(context.Background(), "map "+s.Name, 100*time.Microsecond, 2*time.Millisecond, happen)
	}
	if err := ioctl(func() error {
		for _, other := range p.maps {
			if other.uuid == s.UUID || other.alias == s.Name {
				return fmt.Errorf("cannot make %s: %w", s.Name, dm.ErrExists)
			}
		}
		m = p.newMap(s.UUID, s.Name)
		return nil
	}); err != nil {
		return dm.Device{}, err
	}
	if err := ioctl(func() error {
		if p.maps[s.UUID] != m {
			return fmt.Errorf("cannot make %s: %w", s.Name, dm.ErrNotFound)
		}
		for _, number := range s.Paths {
			if d := p.numbered(number.Minor); d == nil || !p.hold(m, d) {
				p.removeMap(m)
				return fmt.Errorf("cannot make %s of %d:%d: %w", s.Name, number.Major, number.Minor, dm.ErrBusy)
			}
		}
		m.loaded, m.queue, m.size = true, true, s.SizeBytes
		p.note("the process makes %s of %s with %d paths", m.name(), short(m.uuid), len(m.paths))
		p.changed(m)
		p.after("adopt "+m.uuid, 10*time.Millisecond, time.Second, func() { p.daemon.mapEvent(p.Kernel, m) })
		return nil
	}); err != nil {
		return dm.Device{}, err
	}
	return dm.Device{Name: m.name(), Alias: m.alias, UUID: m.uuid}, nil
}

func (p *Process) numbered(minor uint32) *disk {
	for _, d := range p.disks() {
		if d.minor == minor {
			return d
		}
	}
	return nil
}

// Remove removes the map of a UUID that nobody has open.
func (p Mapper) Remove(uuid string) error {
	return p.do(context.Background(), "remove "+uuid, time.Millisecond, 20*time.Millisecond, func() error {
		m := p.maps[uuid]
		switch {
		case m == nil:
			return dm.ErrNotFound
		case m.opens > 0:
			return fmt.Errorf("cannot remove %s: %w", m.name(), dm.ErrBusy)
		case p.units[m.wwid()] == nil:
			p.violation("removed %s of %s, which is somebody else's", m.name(), uuid)
		}
		p.removeMap(m)
		return nil
	})
}

// Message sends a message to the map of a UUID.
func (p Mapper) Message(uuid, message string) error {
	return p.do(context.Background(), "message "+uuid, time.Millisecond, 5*time.Millisecond, func() error {
		m := p.maps[uuid]
		if m == nil {
			return dm.ErrNotFound
		}
		m.queue = message == "queue_if_no_path"
		return nil
	})
}

// Daemon is multipathd as a process sees it.
type Daemon struct{ *Process }

// ask has multipathd do something, if it answers.
func (p Daemon) ask(ctx context.Context, command string, answer func() error) error {
	return p.do(ctx, command, time.Millisecond, 50*time.Millisecond, func() error {
		if p.daemon.down {
			return multipath.ErrNotRunning
		}
		return answer()
	})
}

func refused(command string) error { return fmt.Errorf("%w %q", multipath.ErrFailed, command) }

// Ping reports whether it answers.
func (p Daemon) Ping(context.Context) error {
	return p.now(func() error {
		if p.daemon.down {
			return multipath.ErrNotRunning
		}
		return nil
	})
}

// Maps returns the maps that it knows.
func (p Daemon) Maps(context.Context) (list []multipath.Map, err error) {
	err = p.now(func() error {
		if p.daemon.down {
			return multipath.ErrNotRunning
		}
		for _, m := range p.mapList() {
			if m.known && m.wwid() != "" {
				list = append(list, p.topology(m))
			}
		}
		return nil
	})
	return list, err
}

func (p Daemon) topology(m *dmMap) multipath.Map {
	t := multipath.Map{WWID: m.wwid(), Name: m.alias, Device: m.name()}
	for _, path := range m.paths {
		at := multipath.Path{Disk: path.disk.name, DM: "active", Checker: "ready", Device: "running"}
		if !path.active {
			at.DM, at.Checker = "failed", "faulty"
		}
		t.Paths = append(t.Paths, at)
	}
	return t
}

// AddMap has it take a map that it does not know.
func (p Daemon) AddMap(ctx context.Context, name string) error {
	command := "add map " + name
	return p.ask(ctx, command, func() error {
		m := p.mapNamed(name)
		if m == nil || m.wwid() == "" || !m.loaded || p.daemon.blind {
			return refused(command)
		}
		p.daemon.mapEvent(p.Kernel, m)
		return nil
	})
}

// AddPath has it take a disk.
func (p Daemon) AddPath(ctx context.Context, name string) error {
	command := "add path " + name
	return p.ask(ctx, command, func() error {
		d := p.named(name)
		if d == nil || !d.settled || d.udev == "" || p.daemon.blind {
			return refused(command)
		}
		p.adds(d)
		p.daemon.paths[d] = d.udev
		if !p.daemon.adopt(p.Kernel, d) {
			return refused(command)
		}
		return nil
	})
}

// RemovePath has it take a disk out of its map and forget it; with the last one the
// map goes.
func (p Daemon) RemovePath(ctx context.Context, name string) error {
	command := "del path " + name
	p.mu.Lock()
	if d := p.named(name); d != nil && !p.killed() {
		p.removes(d)
	}
	p.mu.Unlock()
	return p.ask(ctx, command, func() error {
		d := p.named(name)
		if d == nil || p.daemon.paths[d] == "" && d.holder == nil {
			return refused(command)
		}
		p.note("multipathd is told to forget %s", name)
		p.daemon.forget(p.Kernel, d)
		return nil
	})
}

// ResizeMap makes a map as large as its disks are. It looks at the first, and the
// kernel refuses what is longer than one of them.
func (p Daemon) ResizeMap(ctx context.Context, name string) error {
	return p.onMap(ctx, "resize map "+name, name, func(m *dmMap) bool {
		if len(m.paths) == 0 {
			return false
		}
		size := m.paths[0].disk.size
		for _, path := range m.paths {
			if path.disk.size < size {
				return false
			}
		}
		m.size = size
		p.changed(m)
		return true
	})
}

// DisableQueueing has a map fail I/O while no path is usable.
func (p Daemon) DisableQueueing(ctx context.Context, name string) error {
	return p.onMap(ctx, "disablequeueing map "+name, name, func(m *dmMap) bool { m.queue = false; return true })
}

// RestoreQueueing undoes that.
func (p Daemon) RestoreQueueing(ctx context.Context, name string) error {
	return p.onMap(ctx, "restorequeueing map "+name, name, func(m *dmMap) bool { m.queue = true; return true })
}

// RemoveMap removes a map that nobody has open.
func (p Daemon) RemoveMap(ctx context.Context, name string) error {
	return p.onMap(ctx, "remove map "+name, name, func(m *dmMap) bool {
		if m.opens > 0 {
			return false
		}
		p.removeMap(m)
		return true
	})
}

func (p Daemon) onMap(ctx context.Context, command, name string, happen func(*dmMap) bool) error {
	return p.ask(ctx, command, func() error {
		if m := p.mapNamed(name); m == nil || !m.known || !happen(m) {
			return refused(command)
		}
		return nil
	})
}

// Allowed is the file of identities that multipathd may make maps of.
type Allowed struct{ *Process }

// Add adds an identity.
func (p Allowed) Add(ctx context.Context, wwid string) error {
	return p.do(ctx, "allow "+wwid, time.Millisecond, 5*time.Millisecond, func() error {
		p.allowed[wwid] = true
		return nil
	})
}

// Remove removes one.
func (p Allowed) Remove(ctx context.Context, wwid string) error {
	return p.do(ctx, "disallow "+wwid, time.Millisecond, 5*time.Millisecond, func() error {
		delete(p.allowed, wwid)
		return nil
	})
}
