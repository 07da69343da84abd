// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
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

// Detach takes v down: flush, map, disks, and then the sessions that nothing
// else needs. When it returns nil nothing of v is left on this machine; called
// again, also for a volume that never was here, it finds that out. A device in
// use is an *InUseError and stays as it is. Only Target, LUN, WWID and Name of v
// are looked at.
func (c *Connector) Detach(ctx context.Context, v Volume) error {
	if err := v.check(); err != nil {
		return err
	}
	state := c.volume(v.WWID)
	state.Lock()
	defer state.Unlock()
	if err := c.want(state, v.Target); err != nil {
		return err
	}
	if err := c.detach(ctx, state, v); err != nil {
		return fmt.Errorf("cannot detach %s: %w", v.Name, err)
	}
	return nil
}

func (c *Connector) detach(ctx context.Context, state *volume, v Volume) error {
	if err := c.refuseIfOpen(ctx, v); err != nil {
		return err
	}
	if err := state.closeProbes(ctx); err != nil {
		return err
	}
	if err := c.removeMap(ctx, v); err != nil {
		return err
	}
	if err := c.removeDisks(ctx, v); err != nil {
		return err
	}
	// multipathd may have made the map again from a disk that was still there.
	if err := c.removeMap(ctx, v); err != nil {
		return err
	}
	if err := c.allowed.Remove(ctx, v.WWID); err != nil {
		return err
	}
	c.mu.Lock()
	state.target = ""
	c.mu.Unlock()
	return c.release(ctx, v.Target)
}

// refuseIfOpen returns an *InUseError if v's map is open and stays so.
func (c *Connector) refuseIfOpen(ctx context.Context, v Volume) error {
	deadline := time.Now().Add(closing)
	for {
		d, err := dm.ByUUID(multipath.UUIDPrefix + v.WWID)
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

// removeMap flushes and removes v's map. No map is success.
func (c *Connector) removeMap(ctx context.Context, v Volume) error {
	for {
		d, err := dm.ByUUID(multipath.UUIDPrefix + v.WWID)
		if errors.Is(err, dm.ErrNotFound) {
			return c.unlink(v)
		}
		if err != nil {
			return err
		}
		if err := c.flush(ctx, v, d); err != nil {
			return err
		}
		if err := c.unlink(v); err != nil {
			return err
		}
		removeErr := c.multipath.RemoveMap(ctx, d.Alias)
		if errors.Is(removeErr, multipath.ErrNotRunning) {
			return removeErr
		}
		if removeErr == nil {
			c.log.InfoContext(ctx, "map removed", "wwid", v.WWID, "map", d.Name, "proof", "its UUID is "+d.UUID+", not open")
			if _, err := dm.ByUUID(d.UUID); errors.Is(err, dm.ErrNotFound) {
				return nil
			}
		} else if err := c.refuseIfOpen(ctx, v); err != nil {
			return err
		}
		// It came back, or was refused although nobody has it open now: it was
		// open for a moment, or multipathd is not yet through with it.
		c.log.DebugContext(ctx, "map not yet removed", "wwid", v.WWID, "error", removeErr)
		select {
		case <-ctx.Done():
			return errors.Join(removeErr, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// flush writes back what the page cache holds. Without any usable path it ends
// the queueing first, since it would wait for ever, and reports what is lost.
func (c *Connector) flush(ctx context.Context, v Volume, d dm.Device) error {
	maps, err := c.multipath.Maps(ctx)
	if err != nil {
		return err
	}
	usable := false
	for _, p := range findMap(maps, v.WWID).Paths {
		usable = usable || p.Usable()
	}
	if !usable {
		c.log.WarnContext(ctx, "no usable path is left: I/O that waits is failed now", "wwid", v.WWID, "map", d.Name)
		if err := c.multipath.DisableQueueing(ctx, d.Alias); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	go func() { done <- c.devices.Flush(d.Name) }()
	select {
	case err := <-done:
		if err != nil && usable {
			return err
		}
		if err != nil {
			c.log.ErrorContext(ctx, "writes were lost: the volume had no path to write them to", "wwid", v.WWID, "error", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot flush %s: %w", d.Name, ctx.Err())
	}
}

// removeDisks makes the kernel forget every disk of v on our sessions.
func (c *Connector) removeDisks(ctx context.Context, v Volume) error {
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return err
	}
	var disks []block.Disk
	for _, s := range sessions {
		if s.Portal.Target != v.Target {
			continue
		}
		disk, found, err := c.findDisk(v, s)
		if err != nil {
			return err
		}
		// v's map is gone. Were the LUN another volume's by now, its map would
		// hold the disk.
		if found && disk.Map != "" {
			return fmt.Errorf("%s, LUN %d, is in map %s, which is not this volume's", disk.Name, disk.LUN, disk.Map)
		}
		if found {
			disks = append(disks, disk)
		}
	}
	// At once: each may block until its session has given up on what is in flight.
	var wg sync.WaitGroup
	errs := make(chan error, len(disks))
	for _, disk := range disks {
		wg.Go(func() {
			err := c.devices.DeleteDisk(disk.Name)
			if err == nil {
				c.log.InfoContext(ctx, "disk removed", "wwid", v.WWID, "disk", disk.Name, "lun", disk.LUN, "proof", "LUN of a session of ours, map gone")
			}
			errs <- err
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("a disk is not yet removed: %w", ctx.Err())
	}
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// unlink removes the device's name.
func (c *Connector) unlink(v Volume) error {
	if err := os.Remove(c.file(v)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
