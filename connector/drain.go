// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

const (
	// drainTimeout bounds one attempt to take a disk out of the map and remove it.
	drainTimeout = 30 * time.Second
	// idlePatience is how long what is in flight on a disk that left the map may
	// take; the map itself waits for it before it is loaded without the disk.
	idlePatience = 10 * time.Second
)

// surplus is a disk of a volume on a session of ours that none of its portals
// names any more.
type surplus struct {
	session openiscsi.Session
	disk    block.Disk
	usable  bool // in the map, and carries I/O
}

// drain is the removal of surplus disks of a volume, one at a time.
type drain struct {
	mu      sync.Mutex
	running string // the disk that is being removed; empty for none
	failed  map[string]failure
}

// failure is why a disk was not removed, and until when it is left alone.
type failure struct {
	err  error
	next time.Time
}

// findSurplus returns the surplus disks of v. A disk in another map than v's is
// somebody else's, whatever its LUN is.
func (c *Connector) findSurplus(v Volume, wanted map[openiscsi.Portal]bool, sessions []openiscsi.Session,
	m multipath.Map, kernelMap string,
) ([]surplus, error) {
	usable := map[string]bool{} // the disks in the map
	for _, p := range m.Paths {
		usable[p.Disk] = p.Usable()
	}
	var list []surplus
	for _, s := range sessions {
		if wanted[anyGroup(s.Portal)] {
			continue
		}
		disks, err := c.devices.SessionDisks(s.ID)
		if err != nil {
			return nil, err
		}
		for _, d := range disks {
			_, inMap := usable[d.Name]
			atLUN := s.Portal.Target == v.Target && d.LUN == uint64(v.LUN)
			ours := inMap || d.WWID == v.WWID || atLUN
			if ours && (d.Map == "" || d.Map == kernelMap) {
				list = append(list, surplus{s, d, usable[d.Name] && s.LoggedIn()})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b surplus) int {
		return cmp.Or(a.session.Portal.Addr.Compare(b.session.Portal.Addr), cmp.Compare(a.session.ID, b.session.ID))
	})
	return list, nil
}

// usableOn returns how many paths of v's map that are on sessions of ours carry
// I/O, proved or not.
func (c *Connector) usableOn(sessions []openiscsi.Session, m multipath.Map) (int, error) {
	usable := map[string]bool{}
	for _, p := range m.Paths {
		usable[p.Disk] = p.Usable()
	}
	n := 0
	for _, s := range sessions {
		disks, err := c.devices.SessionDisks(s.ID)
		if err != nil {
			return 0, err
		}
		for _, d := range disks {
			if usable[d.Name] && s.LoggedIn() {
				n++
			}
		}
	}
	return n, nil
}

// drain takes the next step to remove list, the surplus disks of v, and adds each
// to status.
//
// Nothing goes while none of the expected paths is usable. One that carries I/O
// goes only if enough usable paths are left: as many as there were when the
// portals changed, or as many as are expected now if that is fewer.
func (c *Connector) drain(ctx context.Context, state *volume, v Volume, list []surplus, m multipath.Map, status *Status) {
	up := map[string]bool{}
	for _, p := range status.Paths {
		if p.State == PathUp {
			up[p.Disk] = true
		}
	}
	usable := len(up)
	for _, s := range list {
		if s.usable {
			usable++
		}
	}
	need := max(1, min(state.before, max(v.Expected, len(v.Portals))))
	for _, unusableFirst := range []bool{true, false} {
		for _, s := range list {
			if s.usable == unusableFirst {
				continue
			}
			path := Path{
				Portal: s.session.Portal.Addr, NetDevice: s.session.Portal.NetDevice(),
				State: PathDraining, Disk: s.disk.Name,
			}
			if !s.session.LoggedIn() {
				state.probes.forget(s.session.ID)
			}
			switch {
			case len(up) == 0:
				path.Reason = "kept: none of the new paths can be used yet"
				c.keep(ctx, state, v, s, m)
			case state.before < 0:
				path.Reason = "kept: multipathd tells nothing of the map yet"
			case s.usable && usable-1 < need:
				path.Reason = fmt.Sprintf("kept until more of the new paths can be used: without it %d would be usable of %d that have to be", usable-1, need)
			case !s.usable:
				path.Reason = c.startRemoval(ctx, state, v, s, 1)
			default:
				path.Reason = c.startRemoval(ctx, state, v, s, need)
			}
			status.Paths = append(status.Paths, path)
		}
	}
}

// keep puts a disk back into the map that has left it and is needed again.
func (c *Connector) keep(ctx context.Context, state *volume, v Volume, s surplus, m multipath.Map) {
	if !s.session.LoggedIn() || s.disk.Map != "" || s.session.Portal.Target != v.Target || s.disk.LUN != uint64(v.LUN) || state.drain.busy() {
		return
	}
	if p := c.probe(ctx, state, v, s.session); p.err == nil && !p.at.IsZero() && p.disk.Name == s.disk.Name {
		c.inMap(ctx, state, s.session.ID, m, p)
	}
}

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
	if err == nil {
		c.wake.Send()
	}
}

// errNeeded is why a removal was given up.
var errNeeded = errors.New("it is needed again")

// spare returns an error if a surplus disk is none any more: its portal is named
// again, or fewer than need other paths are usable by now.
func (c *Connector) spare(ctx context.Context, state *volume, v Volume, s surplus, need int) error {
	c.mu.Lock()
	wanted := state.portals[anyGroup(s.session.Portal)]
	c.mu.Unlock()
	others, _, err := c.others(ctx, v, s.disk.Name)
	if err == nil && (wanted || others < need) {
		return errNeeded
	}
	return err
}

// removeSurplus takes a disk out of v's map, waits until nothing of it is in
// flight, and has the kernel forget it. Need is how many others must be usable,
// before and after it has left the map; if they are not it comes back.
func (c *Connector) removeSurplus(ctx context.Context, state *volume, v Volume, s surplus, need int) error {
	name := s.disk.Name
	if err := c.spare(ctx, state, v, s, need); err != nil {
		return err
	}
	if err := c.multipath.RemovePath(ctx, name); err != nil {
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
		if errors.Is(err, errNeeded) {
			err = errors.Join(err, c.multipath.AddPath(ctx, name))
		}
		return err
	}
	if err := c.devices.DeleteDisk(name); err != nil {
		return err
	}
	c.log.InfoContext(ctx, "disk removed", "wwid", v.WWID, "disk", name, "lun", s.disk.LUN,
		"path", s.session.Portal.String(), "net_device", s.session.Portal.NetDevice(),
		"proof", "on a session of ours that the volume no longer expects, by identity or LUN, in no map, nothing in flight")
	return nil
}

// others returns how many disks of v's map beside one are usable, and whether
// that one is in any map that multipathd knows.
func (c *Connector) others(ctx context.Context, v Volume, disk string) (usable int, inMap bool, err error) {
	maps, err := c.multipath.Maps(ctx)
	if err != nil {
		return 0, false, err
	}
	for _, m := range maps {
		for _, p := range m.Paths {
			switch {
			case p.Disk == disk:
				inMap = true
			case m.WWID == v.WWID && p.Usable():
				usable++
			}
		}
	}
	return usable, inMap, nil
}

// awaitIdle waits until a disk is in no map, for the kernel and for multipathd,
// and nothing is in flight on it. Gone is true if it is not there any more.
func (c *Connector) awaitIdle(ctx context.Context, v Volume, s surplus) (gone bool, err error) {
	for start := time.Now(); ; {
		disks, err := c.devices.SessionDisks(s.session.ID)
		if err != nil {
			return false, err
		}
		disk, found := block.Disk{}, false
		for _, d := range disks {
			// A name is given anew to another disk.
			if d.Name == s.disk.Name && d.LUN == s.disk.LUN {
				disk, found = d, true
			}
		}
		if !found {
			return true, nil
		}
		inFlight, err := c.devices.InFlight(disk.Name)
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
		case <-time.After(50 * time.Millisecond): // none of these makes an event
		}
	}
}
