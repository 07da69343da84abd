// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/block"
)

// SessionDisks returns the disks of a session.
func (p *Process) SessionDisks(id int) (list []block.Disk, err error) {
	err = p.now(func() error {
		s := p.sessions[id]
		if s == nil {
			return nil
		}
		for _, d := range s.disks {
			if d.shown {
				list = append(list, shape(d))
			}
		}
		return nil
	})
	return list, err
}

// SessionDisk returns the disk at a LUN of a session.
func (p *Process) SessionDisk(id int, lun uint64) (block.Disk, bool, error) {
	list, err := p.SessionDisks(id)
	for _, d := range list {
		if d.LUN == lun {
			return d, true, nil
		}
	}
	return block.Disk{}, false, err
}

func shape(d *disk) block.Disk {
	shaped := block.Disk{Name: d.name, LUN: d.lun, WWID: d.cached, Serial: d.serial, SizeBytes: d.size, Major: 8, Minor: d.minor}
	if d.holder != nil {
		shaped.Map, shaped.MapUUID = d.holder.name(), d.holder.uuid
	}
	return shaped
}

// ScanLUN has the kernel look for a LUN. It waits for a session that is lost until
// that is given up.
func (p *Process) ScanLUN(host int, lun uint64) error {
	lo, hi := 2*time.Millisecond, 100*time.Millisecond
	if p.lost(host - 10) {
		lo, hi = 3*time.Second, 6*time.Second
	}
	return p.do(context.Background(), fmt.Sprint("scan ", host), lo, hi, func() error {
		s := p.sessions[host-10]
		if s == nil {
			return fmt.Errorf("cannot scan host%d: %w", host, fs.ErrNotExist)
		}
		p.attention(s)
		p.scan(s, lun)
		return nil
	})
}

// WWID asks whatever disk has that name when the command goes out.
func (p *Process) WWID(name string, timeout time.Duration) (wwid string, err error) {
	p.mu.Lock()
	d := p.named(name)
	lo, hi := time.Millisecond, 30*time.Millisecond
	if d != nil && !p.alive(d.session) {
		lo, hi = timeout, timeout+10*time.Millisecond
	}
	p.mu.Unlock()
	err = p.do(context.Background(), "inquiry "+name, lo, hi, func() error {
		switch {
		case d == nil:
			return fmt.Errorf("cannot open %s: %w", name, fs.ErrNotExist)
		case d.gone:
			return fmt.Errorf("cannot ask %s: %w", name, unix.ENODEV)
		}
		p.attention(d.session)
		u := p.behind(d)
		if u == nil {
			return fmt.Errorf("cannot ask %s for its identity", name)
		}
		wwid = u.WWID
		p.answered(d, u)
		return nil
	})
	return wwid, err
}

// Rescan has the kernel ask a disk for its size.
func (p *Process) Rescan(name string) error {
	return p.onDisk("rescan", name, func(d *disk) error {
		if u := p.behind(d); u != nil {
			d.size = u.Size
			p.uevent(block.Uevent{Subsystem: "block", Session: d.session.id})
		}
		return nil
	})
}

// DeleteDisk has the kernel forget a disk, if it has its name, LUN and session now.
func (p *Process) DeleteDisk(session int, of block.Disk) error {
	p.mu.Lock()
	d := p.named(of.Name)
	is := d != nil && d.session.id == session && d.lun == of.LUN
	if is && !p.killed() {
		p.removes(d)
	}
	p.mu.Unlock()
	if !is {
		return nil
	}
	err := p.onDisk("delete", of.Name, func(d *disk) error {
		p.removeDisk(d)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (p *Process) onDisk(what, name string, happen func(*disk) error) error {
	p.mu.Lock()
	d := p.named(name)
	p.mu.Unlock()
	return p.do(context.Background(), what+" "+name, 5*time.Millisecond, 100*time.Millisecond, func() error {
		if d == nil || d.gone {
			return fmt.Errorf("cannot %s %s: %w", what, name, fs.ErrNotExist)
		}
		return happen(d)
	})
}

// InFlight returns how many requests to a disk have not ended: on a path that is
// dead and in a map, those that its map had sent.
func (p *Process) InFlight(name string) (n int, err error) {
	err = p.now(func() error {
		if d := p.named(name); d != nil && d.holder != nil && d.holder.path(d).active && !p.alive(d.session) {
			n = 1
		}
		return nil
	})
	return n, err
}

// ForgetPartitions finds none.
func (p *Process) ForgetPartitions(string) error { return p.now(func() error { return nil }) }

// Announce has udev look at a device once more.
func (p *Process) Announce(name string) error {
	return p.now(func() error {
		if d := p.named(name); d != nil {
			p.announce(d)
		}
		return nil
	})
}

// SizeBytes returns the size of a disk or a map.
func (p *Process) SizeBytes(name string) (size uint64, err error) {
	err = p.now(func() error {
		if d := p.named(name); d != nil {
			size = d.size
			return nil
		}
		if m := p.mapNamed(name); m != nil {
			size = m.size
			return nil
		}
		return fmt.Errorf("cannot read the size of %s: %w", name, fs.ErrNotExist)
	})
	return size, err
}

// SizeOf returns the name and the size of the disk with that number.
func (p *Process) SizeOf(major, minor uint32) (name string, size uint64, err error) {
	err = p.now(func() error {
		d := p.numbered(minor)
		if d == nil {
			return fmt.Errorf("cannot find device %d:%d: %w", major, minor, fs.ErrNotExist)
		}
		name, size = d.name, d.size
		return nil
	})
	return name, size, err
}

func (p *Process) mapNamed(name string) *dmMap {
	for _, m := range p.mapList() {
		if m.name() == name || m.alias == name {
			return m
		}
	}
	return nil
}

// Hold keeps a map open until it is closed, or p is killed.
func (p *Process) Hold(name string) (io.Closer, error) {
	h := &hold{p: p}
	err := p.now(func() error {
		h.m = p.mapNamed(name)
		if h.m == nil {
			return fmt.Errorf("cannot hold %s: %w", name, fs.ErrNotExist)
		}
		h.m.opens++
		p.holds = append(p.holds, h)
		return nil
	})
	return h, err
}

// hold is a map that a process has open.
type hold struct {
	p *Process
	m *dmMap
}

// Close lets go of the map.
func (h *hold) Close() error {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	if i := slices.Index(h.p.holds, h); i >= 0 {
		h.p.holds = slices.Delete(h.p.holds, i, i+1)
		h.m.opens--
	}
	return nil
}

// Users names who has a device open.
func (p *Process) Users(name string) (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.mapNamed(name); m != nil && m.opens > 0 {
		list = append(list, "process 812 (fio)")
	}
	return list
}

// Flush writes back what the page cache holds for a map. While no path takes I/O it
// waits, unless the map fails such I/O.
func (p *Process) Flush(name string) error {
	var m *dmMap
	for done := false; !done; {
		if err := p.do(context.Background(), "flush "+name, 5*time.Millisecond, 200*time.Millisecond, func() error {
			if m == nil {
				m = p.mapNamed(name)
			}
			switch {
			case m == nil || p.maps[m.uuid] != m:
				return fmt.Errorf("cannot open %s: %w", name, fs.ErrNotExist)
			case p.takesIO(m):
				done = true
			case !m.queue:
				return fmt.Errorf("cannot flush %s: %w", name, unix.EIO)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// takesIO reports whether I/O to a map ends. What is on a path that has died fails
// it, and is tried on the next.
func (p *Process) takesIO(m *dmMap) bool {
	for _, path := range m.paths {
		if u := p.behind(path.disk); path.active && u != nil {
			return !u.Suspended
		}
		if path.active && path.disk.session.state == failed {
			p.failPath(path.disk)
		}
	}
	return false
}

func isOurs(d *disk) bool { return strings.HasPrefix(d.session.portal.Iface, "mallee-") }
