// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
)

const (
	// drainTimeout bounds one attempt to take a disk out of the map and remove it.
	drainTimeout = 30 * time.Second
	// idlePatience is how long what is in flight on a disk that left the map may
	// take; the map itself waits for it before it is loaded without the disk.
	idlePatience = 10 * time.Second
)

func (d *drain) busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running != ""
}

// startRemoval begins to remove a disk beside the caller, unless another removal
// runs or it is too soon after a failure, and returns how that stands.
func (c *Connector) startRemoval(ctx context.Context, state *volume, v Volume, s surplus, need int) string {
	d, name := &state.drain, s.disk.Name
	d.mu.Lock()
	defer d.mu.Unlock()
	failed := d.failed[name]
	switch {
	case d.running != "" && d.running != name:
		return "waits until " + d.running + " is removed"
	case d.running == name:
	case time.Now().Before(failed.next):
	case state.probes.drop(name, s.session.ID, func() { c.endRemoval(ctx, state, v, s, need) }):
		d.running = name
	}
	if failed.err != nil {
		return "being removed; last time: " + failed.err.Error()
	}
	return "being removed"
}

// endRemoval removes a disk and notes how that has ended.
func (c *Connector) endRemoval(ctx context.Context, state *volume, v Volume, s surplus, need int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := c.removeSurplus(ctx, state, v, s, need)
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, errNeeded) {
			level = slog.LevelInfo
		}
		c.log.Log(ctx, level, "path not removed", "wwid", v.WWID, "path", s.session.Portal.String(), "disk", s.disk.Name, "error", err)
	}
	d := &state.drain
	d.mu.Lock()
	d.running = ""
	delete(d.failed, s.disk.Name)
	if err != nil {
		if d.failed == nil {
			d.failed = map[string]failure{}
		}
		d.failed[s.disk.Name] = failure{err, time.Now().Add(firstRetry)}
	}
	d.mu.Unlock()
	c.looks.changed()
	if err == nil {
		state.news.Send()
	}
}

// errNeeded is why a removal was given up.
var errNeeded = errors.New("it is needed again")

// spare returns an error if a surplus disk is none any more: its portal is named
// again, or fewer than need other paths are usable by now. Those are asked: the
// kernel and the last proof know nothing of a path that has just died, or leads
// elsewhere.
func (c *Connector) spare(ctx context.Context, state *volume, v Volume, s surplus, need int) error {
	c.mu.Lock()
	wanted := state.portals[anyGroup(s.session.Portal)]
	c.mu.Unlock()
	others, _, err := c.others(ctx, v, s.disk.Name)
	if err == nil && (wanted || c.answering(state, v, others) < need) {
		return errNeeded
	}
	return err
}

// answering returns how many of some disks answer that they are v. Those that do not
// are looked at again at once.
func (c *Connector) answering(state *volume, v Volume, disks []string) int {
	var n atomic.Int64
	var wg sync.WaitGroup
	for _, disk := range disks {
		wg.Go(func() {
			if wwid, err := c.disks.WWID(disk, inquiryTimeout); err == nil && wwid == v.WWID {
				n.Add(1)
				return
			}
			state.probes.suspect(disk)
			state.news.Send()
		})
	}
	wg.Wait()
	return int(n.Load())
}

// removeSurplus takes a disk out of v's map, waits until nothing of it is in
// flight, and has the kernel forget it. Need is how many others must be usable,
// before and after it has left the map; if they are not it comes back.
func (c *Connector) removeSurplus(ctx context.Context, state *volume, v Volume, s surplus, need int) error {
	name := s.disk.Name
	if err := c.spare(ctx, state, v, s, need); err != nil {
		return err
	}
	if disk, found, err := c.still(s); err != nil || !found {
		return err
	} else if err := foreign(disk); err != nil {
		return err
	}
	if err := c.daemon.RemovePath(ctx, name); err != nil {
		// It refuses as well what it does not know.
		if _, inMap, mapsErr := c.others(ctx, v, name); inMap || mapsErr != nil || !errors.Is(err, multipath.ErrFailed) {
			return errors.Join(err, mapsErr)
		}
	}
	gone, err := c.awaitIdle(ctx, v, s)
	if err != nil || gone {
		return err
	}
	if err := c.spare(ctx, state, v, s, need); err != nil {
		// Nobody else puts it back soon; but it may be another by now.
		if errors.Is(err, errNeeded) && c.answering(state, v, []string{name}) == 1 {
			err = errors.Join(err, c.daemon.AddPath(ctx, name))
		}
		return err
	}
	// In no map it is anybody's to take.
	disk, found, err := c.still(s)
	if err != nil || !found {
		return err
	}
	if disk.Map != "" {
		return fmt.Errorf("%s is in map %s again", name, disk.Map)
	}
	if err := c.disks.DeleteDisk(s.session.ID, disk); err != nil {
		return err
	}
	c.log.InfoContext(ctx, "disk removed", "wwid", v.WWID, "disk", name, "lun", s.disk.LUN,
		"path", s.session.Portal.String(), "net_device", s.session.Portal.NetDevice(),
		"proof", "on a session of ours that the volume no longer expects, by identity or LUN, in no map, nothing in flight")
	return nil
}

// still returns a surplus disk as it is now. It is not found if it is not there any
// more, although there may be a disk of its name: a name is given anew.
func (c *Connector) still(s surplus) (disk block.Disk, found bool, err error) {
	disk, found, err = c.disks.SessionDisk(s.session.ID, s.disk.LUN)
	return disk, found && disk.Name == s.disk.Name, err
}

// others returns which disks of v's map beside one are usable for the kernel, and
// whether that one is in any map that multipathd knows.
func (c *Connector) others(ctx context.Context, v Volume, disk string) (usable []string, inMap bool, err error) {
	known, err := c.daemon.Maps(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, m := range known {
		for _, p := range m.Paths {
			inMap = inMap || p.Disk == disk
		}
	}
	c.looks.changed()
	now, err := c.looks.get(ctx)
	if err != nil {
		return nil, false, err
	}
	for name, carries := range now.carrying(now.mapOf(v.WWID)) {
		if carries && name != disk {
			usable = append(usable, name)
		}
	}
	return usable, inMap, nil
}

// awaitIdle waits until a disk is in no map, for the kernel and for multipathd,
// and nothing is in flight on it. Gone is true if it is not there any more.
func (c *Connector) awaitIdle(ctx context.Context, v Volume, s surplus) (gone bool, err error) {
	for start := time.Now(); ; {
		disk, found, err := c.still(s)
		if err != nil || !found {
			return err == nil, err
		}
		inFlight, err := c.disks.InFlight(disk.Name)
		if err != nil {
			return false, err
		}
		_, inMap, err := c.others(ctx, v, disk.Name)
		if err != nil {
			return false, err
		}
		inMap = inMap || disk.Map != ""
		switch late := time.Since(start) > idlePatience; {
		case !inMap && inFlight == 0:
			return false, nil
		case late && inMap:
			return false, errors.New("multipathd has it in a map again")
		case late:
			return false, fmt.Errorf("%d requests are in flight on it", inFlight)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond): // none of these makes an event
		}
	}
}
