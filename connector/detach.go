// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// InUseError says that a device cannot be detached because it is open.
type InUseError struct {
	Device string
	Users  []string // "mount /mnt", "process 812 (fio)", "device dm-3"
}

func (e *InUseError) Error() string {
	if len(e.Users) == 0 {
		return e.Device + " is in use"
	}
	return e.Device + " is in use by " + strings.Join(e.Users, ", ")
}

// closing is how long a device may still be open after it was given back: udev
// and multipathd look into a device for a moment when it changes.
const closing = 3 * time.Second

// LostWritesError says that the volume is down and nothing of it is left, but
// that writes which waited for a path were never written.
type LostWritesError struct {
	Err error // what the flush said
}

func (e *LostWritesError) Error() string {
	return "writes were lost: there was no path left to write them to"
}

// Unwrap returns what the flush said.
func (e *LostWritesError) Unwrap() error { return e.Err }

// Detach takes v down: flush, map, disks, and then the sessions that nothing
// else needs. When it returns nil or a *LostWritesError nothing of v is left on
// this machine; called again, also for a volume that never was here, it finds
// that out. A device in use is an *InUseError and stays as it is. Only Target,
// LUN, WWID and Name of v are looked at.
func (c *Connector) Detach(ctx context.Context, v Volume) error {
	if err := v.check(); err != nil {
		return err
	}
	state := c.volume(v.WWID)
	state.Lock()
	defer state.Unlock()
	owner, err := c.owner(state, v)
	if err != nil {
		return fmt.Errorf("cannot detach %s: %w", v.Name, err)
	}
	if owner != "" && owner != v.Name {
		return nil // it was refused for that, and never was here
	}
	c.want(state, v.Target, nil)
	if err := c.detach(ctx, state, v); err != nil {
		return fmt.Errorf("cannot detach %s: %w", v.Name, err)
	}
	if lost := state.lost; lost != nil {
		state.lost = nil
		return &LostWritesError{lost}
	}
	return nil
}

func (c *Connector) detach(ctx context.Context, state *volume, v Volume) error {
	state.adoption.release()
	if err := c.refuseIfOpen(ctx, v); err != nil {
		return err
	}
	if err := state.probes.close(ctx); err != nil {
		return err
	}
	defer c.looks.changed()
	if err := c.dissolve(ctx, state, v); err != nil {
		return err
	}
	// multipathd may have made the map again from a disk that was still there, or
	// have noted its WWID when it took the map over.
	if _, err := c.removeMap(ctx, v); err != nil {
		return err
	}
	if err := c.allowed.Remove(ctx, v.WWID); err != nil {
		return err
	}
	if c.renounce(state) {
		return nil
	}
	return c.release(ctx, v.Target)
}

// errRemade is that multipathd has made a volume's map again, with a disk in it.
var errRemade = errors.New("its map was made again")

// dissolve removes v's map and disks. If multipathd is just about to put a path into
// the map that goes, it makes another, for which it notes the WWID again: as often as
// it has looked at a disk of v before it was told not to.
func (c *Connector) dissolve(ctx context.Context, state *volume, v Volume) error {
	for deadline := time.Now().Add(closing); ; {
		// Before the map goes: multipathd makes it again from a disk that it looks at.
		if err := c.allowed.Remove(ctx, v.WWID); err != nil {
			return err
		}
		lost, err := c.removeMap(ctx, v)
		if lost != nil {
			// Whatever fails from here on: the call that ends well must tell it, and a
			// flush fails only once.
			state.lost = lost
		}
		if err != nil {
			return err
		}
		err = c.removeDisks(ctx, v)
		if !errors.Is(err, errRemade) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// renounce notes that a volume needs no session any more, and reports whether other
// volumes need each of those that it had: then nothing is to be left.
func (c *Connector) renounce(state *volume) (needed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := state.portals
	state.name, state.target, state.portals, state.adoption = "", "", nil, adoption{}
	for p := range had {
		if !c.wanted(p) {
			return false
		}
	}
	return len(had) > 0
}

// refuseIfOpen returns an *InUseError if v's map is open and stays so.
func (c *Connector) refuseIfOpen(ctx context.Context, v Volume) error {
	deadline := time.Now().Add(closing)
	for {
		d, err := c.maps.MapByUUID(multipath.UUIDPrefix + v.WWID)
		if errors.Is(err, dm.ErrNotFound) || err == nil && d.OpenCount == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return &InUseError{Device: c.file(v), Users: c.devices.Users(d.Name)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond): // closing a device makes no event
		}
	}
}

// removeMap flushes and removes v's map. No map is success. Lost is what a flush
// without any path has failed with.
func (c *Connector) removeMap(ctx context.Context, v Volume) (lost, err error) {
	var queueingEnded string // alias of the map
	defer func() {
		if err == nil || queueingEnded == "" {
			return
		}
		// The map stays after all, and with it its user: the next moment without
		// a path must not be an I/O error.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), multipath.DefaultTimeout)
		defer cancel()
		err = errors.Join(err, c.daemon.RestoreQueueing(ctx, queueingEnded))
	}()
	for {
		d, err := c.maps.MapByUUID(multipath.UUIDPrefix + v.WWID)
		if errors.Is(err, dm.ErrNotFound) {
			return lost, c.unlink(v)
		}
		if err != nil {
			return lost, err
		}
		ended, err := c.flush(ctx, v, d.Device)
		if ended {
			queueingEnded = d.Alias
		}
		if err != nil {
			if !ended || ctx.Err() != nil {
				return lost, err
			}
			c.log.ErrorContext(ctx, "writes were lost: the volume had no path to write them to", "wwid", v.WWID, "error", err)
			lost = err
		}
		if err := c.unlink(v); err != nil {
			return lost, err
		}
		switch err := c.maps.Remove(d.UUID); {
		case err == nil:
			c.log.InfoContext(ctx, "map removed", "wwid", v.WWID, "map", d.Name, "proof", "its UUID is "+d.UUID+", not open")
		case errors.Is(err, dm.ErrNotFound):
		case errors.Is(err, dm.ErrBusy):
			// For a moment: udev and multipathd look into what has changed.
			if err := c.refuseIfOpen(ctx, v); err != nil {
				return lost, err
			}
			select {
			case <-ctx.Done():
				return lost, ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		default:
			return lost, err
		}
	}
}

// usable reports whether any path of v's map carries I/O.
func (c *Connector) usable(v Volume) (bool, error) {
	m, err := c.maps.MapByUUID(multipath.UUIDPrefix + v.WWID)
	if errors.Is(err, dm.ErrNotFound) {
		return false, nil
	}
	return slices.ContainsFunc(m.Paths, func(p dm.Path) bool { return p.Active }), err
}

// flush writes back what the page cache holds. Once no path is usable, at first or
// later, it ends queueing, and tells so: a flush that waits for a path may do so for
// ever, and would keep the device open. That there are paths at first means little:
// with a pool that is full each comes back every few seconds, and fails again.
func (c *Connector) flush(ctx context.Context, v Volume, d dm.Device) (queueingEnded bool, err error) {
	done := make(chan error, 1)
	for started := false; ; started = true {
		if !queueingEnded {
			usable, err := c.usable(v)
			if err != nil {
				return false, err
			}
			if !usable {
				c.log.WarnContext(ctx, "no usable path is left: I/O that waits is failed now", "wwid", v.WWID, "map", d.Name)
				if err := c.endQueueing(ctx, d); err != nil {
					return false, err
				}
				queueingEnded = true
			}
		}
		if !started {
			go func() { done <- c.devices.Flush(d.Name) }()
		}
		select {
		case err := <-done:
			return queueingEnded, err
		case <-ctx.Done():
			return queueingEnded, fmt.Errorf("cannot flush %s: %w", d.Name, ctx.Err())
		case <-time.After(retryInterval):
		}
	}
}

// endQueueing makes I/O that waits for a path fail. multipathd must know, or would
// have it wait again; where it does not know the map, the kernel is told.
func (c *Connector) endQueueing(ctx context.Context, d dm.Device) error {
	err := c.daemon.DisableQueueing(ctx, d.Alias)
	if errors.Is(err, multipath.ErrFailed) || errors.Is(err, multipath.ErrNotRunning) {
		err = c.maps.Message(d.UUID, "fail_if_no_path")
	}
	return err
}

// removeDisks makes the kernel forget every disk of v on our sessions: those
// that were v when the kernel found them, at whatever LUN, and what is at v's LUN
// now. A disk in a map is neither: v's own is gone. But what is at v's LUN is in
// another volume's map by mistake: udev asked it when that one was there.
func (c *Connector) removeDisks(ctx context.Context, v Volume) error {
	c.looks.changed()
	now, err := c.looks.get(ctx)
	if err != nil {
		return err
	}
	var g errgroup.Group // at once: each may block until its session has given up on what is in flight
	for _, s := range now.sessions {
		for _, disk := range now.disks[s.ID] {
			atLUN := s.Portal.Target == v.Target && disk.LUN == uint64(v.LUN)
			switch {
			case disk.WWID != v.WWID && !atLUN:
			case disk.Map == "":
				g.Go(func() error { return c.diskRemoved(ctx, v, disk, c.disks.DeleteDisk(s.ID, disk)) })
			case atLUN && disk.MapUUID != multipath.UUIDPrefix+v.WWID && foreign(disk) == nil:
				g.Go(func() error { return c.removeMisused(ctx, v, s, disk) })
			case disk.MapUUID == multipath.UUIDPrefix+v.WWID:
				g.Go(func() error { return fmt.Errorf("%s is in map %s: %w", disk.Name, disk.Map, errRemade) })
			default: // the LUN must not become another volume's
				g.Go(func() error { return fmt.Errorf("%s is in map %s", disk.Name, disk.Map) })
			}
		}
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("a disk is not yet removed: %w", ctx.Err())
	}
}

// removeMisused removes a disk at v's LUN that is in another volume's map, unless it
// shows that it is rightly there: the SAN may have given the LUN away already. One
// that does not answer carries nothing, and may be v when it comes back.
func (c *Connector) removeMisused(ctx context.Context, v Volume, s openiscsi.Session, disk block.Disk) error {
	wwid, err := c.disks.WWID(disk.Name, inquiryTimeout)
	if err == nil && wwid == disk.WWID && wwid != v.WWID && disk.MapUUID == multipath.UUIDPrefix+wwid {
		return nil
	}
	return c.diskRemoved(ctx, v, disk, c.deleteDisk(s, disk))
}

// diskRemoved notes that a disk was removed, unless that has failed.
func (c *Connector) diskRemoved(ctx context.Context, v Volume, disk block.Disk, err error) error {
	if err != nil {
		return err
	}
	c.log.InfoContext(ctx, "disk removed", "wwid", v.WWID, "disk", disk.Name, "lun", disk.LUN,
		"proof", "on a session of ours, by identity or LUN, not rightly in another's map")
	return nil
}

// unlink removes the device's name.
func (c *Connector) unlink(v Volume) error {
	if err := os.Remove(c.file(v)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
