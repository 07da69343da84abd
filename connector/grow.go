// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
)

// remeasure has the kernel ask a disk that has proved what it is for its size, if
// it is smaller than it shall be, and returns it as it is then.
func (c *Connector) remeasure(disk block.Disk, size uint64) (block.Disk, error) {
	if disk.SizeBytes >= size {
		return disk, nil
	}
	if err := c.disks.Rescan(disk.Name); err != nil {
		return disk, err
	}
	var err error
	disk.SizeBytes, err = c.devices.SizeBytes(disk.Name)
	return disk, err
}

// grow takes a step from a map that is smaller than v shall be to one that is
// not, and tells in status how large it is and what it waits for.
//
// The kernel refuses a map that is longer than one of its disks, after multipathd
// has stopped the map for it. So the map follows its disks, which the probes have
// measured anew. A disk whose path is down cannot be measured: it is removed,
// lest it hold up the growth, and found again, with its size, when the path
// returns.
func (c *Connector) grow(ctx context.Context, state *volume, v Volume, now *view, m dm.Map, usable int, status *Status) error {
	if status.Map == "" {
		return nil
	}
	before, err := c.devices.SizeBytes(status.Map)
	if err != nil {
		return err
	}
	status.SizeBytes = before
	if before >= v.SizeBytes {
		return nil
	}
	obstacle, err := c.obstacle(ctx, state, v, now, m, usable)
	if err != nil {
		return err
	}
	if obstacle == "" {
		err := c.daemon.ResizeMap(ctx, status.Map)
		if err != nil && !errors.Is(err, multipath.ErrFailed) {
			return err
		}
		if status.SizeBytes, err = c.devices.SizeBytes(status.Map); err != nil {
			return err
		}
		if status.SizeBytes >= v.SizeBytes {
			c.log.InfoContext(ctx, "map resized", "wwid", v.WWID, "map", status.Map, "size_bytes", status.SizeBytes, "before", before)
			return nil
		}
		obstacle = "multipathd has not resized the map"
	}
	status.Growth = fmt.Sprintf("the device has %d bytes and shall have %d: %s", status.SizeBytes, v.SizeBytes, obstacle)
	return nil
}

// obstacle returns what keeps v's map from being resized now, and starts to
// remove disks that would do so for long. Usable is how many paths carry I/O.
func (c *Connector) obstacle(ctx context.Context, state *volume, v Volume, now *view, m dm.Map, usable int) (string, error) {
	if usable == 0 {
		// I/O that waits for a path would fail.
		return "no path is up", nil
	}
	var obstacle string
	for _, p := range m.Paths {
		name, size, err := c.devices.SizeOf(p.Major, p.Minor)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			obstacle = "a disk is being removed"
		case err != nil:
			return "", err
		case size < v.SizeBytes:
			obstacle = fmt.Sprintf("%s has %d", name, size)
			if d, ok := now.byNumber[[2]uint32{p.Major, p.Minor}]; ok && d.WWID == v.WWID && !(p.Active && d.session.LoggedIn()) {
				c.dropDown(ctx, state, v, d)
			}
		}
	}
	return obstacle, nil
}

// dropDown removes a disk of v whose path is down, beside the caller: the kernel
// may wait for what is in flight.
func (c *Connector) dropDown(ctx context.Context, state *volume, v Volume, d found) {
	ctx = context.WithoutCancel(ctx)
	state.probes.drop(d.Name, d.session.ID, func() {
		defer c.looks.changed()
		if err := c.disks.DeleteDisk(d.session.ID, d.Disk); err != nil {
			c.log.WarnContext(ctx, "a disk keeps the map from growing", "wwid", v.WWID, "disk", d.Name, "error", err)
			return
		}
		c.log.InfoContext(ctx, "disk removed", "wwid", v.WWID, "disk", d.Name, "lun", d.LUN,
			"proof", "on a session of ours, by identity, its path is down, and it is smaller than the volume")
	})
}
