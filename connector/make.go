// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
)

// makeRetry is the pause before a map that could not be made is made again.
const makeRetry = time.Second

// makeMap makes v's map of the expected paths that have proved what they are, as
// soon as they are enough, and returns the view of the machine with it; nil if there
// is no map yet. multipathd would make it too, once udev is through with the disks,
// which takes longer than all the rest; but it may only from now on. It takes over the
// one that it finds, and adds the paths that come later.
func (c *Connector) makeMap(ctx context.Context, state *volume, v Volume, now *view, status *Status) *view {
	if status.Map != "" || time.Now().Before(state.makeAt) {
		return nil
	}
	var paths []block.Disk
	for _, p := range status.Paths {
		if p.State != PathJoining || p.Disk == "" {
			continue
		}
		disk, ok := now.named(p.Disk)
		switch {
		case !ok || disk.Map != "" || !state.probes.proved(disk.session.ID, disk.Name):
		case disk.session.Portal.Target != v.Target || disk.LUN != uint64(v.LUN) || disk.WWID != v.WWID:
			// It has the name of the one that was proved, which is gone.
		case disk.SizeBytes < v.SizeBytes || len(paths) > 0 && disk.SizeBytes != paths[0].SizeBytes:
			// The kernel takes no path that is smaller than the map.
		default:
			paths = append(paths, disk.Disk)
		}
	}
	if len(paths) < v.minPaths() {
		return nil
	}
	spec := dm.Spec{Name: v.WWID, UUID: multipath.UUIDPrefix + v.WWID, SizeBytes: paths[0].SizeBytes}
	for _, d := range paths {
		spec.Paths = append(spec.Paths, dm.Number{Major: d.Major, Minor: d.Minor})
	}
	// Not before the proof: as it is set up by default, multipathd makes a map of every
	// disk with an identity that it may have.
	var made dm.Device
	err := c.allowed.Add(ctx, v.WWID)
	if err == nil {
		made, err = c.maps.CreateMultipath(spec)
	}
	if err == nil {
		err = c.holdMap(state, made.Name)
	}
	c.looks.changed()
	switch {
	case errors.Is(err, dm.ErrExists): // multipathd was faster
	case err != nil:
		state.makeAt = time.Now().Add(makeRetry)
		c.log.WarnContext(ctx, "cannot make the map", "wwid", v.WWID, "error", err)
		return nil
	default:
		c.log.InfoContext(ctx, "map made", "wwid", v.WWID, "map", made.Name, "paths", len(paths), "size_bytes", spec.SizeBytes)
	}
	m, err := c.maps.MapByUUID(spec.UUID)
	if err != nil {
		return nil // the next look tells
	}
	then := *now
	then.maps = maps.Clone(now.maps)
	then.maps[m.UUID] = m
	return &then
}

// named returns a disk of our sessions by its name.
func (v *view) named(name string) (found, bool) {
	for _, d := range v.byNumber {
		if d.Name == name {
			return d, true
		}
	}
	return found{}, false
}
