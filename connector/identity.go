// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// refusal is why a disk that has answered is not taken for a path of the volume.
type refusal struct {
	reason string
	stays  bool // the disk was not removed
	// twin is true if it says that it is the volume. It is not looked for again while
	// its session lasts: each time multipathd would take it for a path for a moment.
	twin bool
}

func (r *refusal) Error() string { return r.reason }

// errOutdated is why a disk that is the volume's was removed: the kernel, and so
// udev and multipathd, took it for what was at its LUN before, and would go on so.
var errOutdated = errors.New("the kernel took it for what was at its LUN before")

// prove has a disk at v's LUN on a session of ours prove that it is v, by a live
// INQUIRY. One that is not, or that is taken for another, is removed at once, out of
// whatever map of its former identity it is in. But a disk that is rightly in use as
// what it is, or that another tool holds, stays as it is. The error is a *refusal if
// the disk has answered and is no path of v's, or errOutdated.
func (c *Connector) prove(ctx context.Context, v Volume, s openiscsi.Session, disk block.Disk, condemn func(error)) error {
	wwid, err := c.disks.WWID(disk.Name, inquiryTimeout)
	if err != nil || wwid == v.WWID && disk.WWID == v.WWID {
		return err
	}
	inMapOf := func(wwid string) bool { return disk.Map != "" && disk.MapUUID == multipath.UUIDPrefix+wwid }
	refused := &refusal{reason: fmt.Sprintf("LUN %d has identity %s, not %s", disk.LUN, wwid, v.WWID)}
	if wwid != v.WWID {
		condemn(refused)
	}
	switch {
	case disk.Map != "" && !inMapOf(v.WWID) && !inMapOf(disk.WWID):
		return &refusal{stays: true, reason: fmt.Sprintf("%s is part of %s, which is not this volume's map", disk.Name, disk.Map)}
	case wwid != v.WWID && wwid == disk.WWID && inMapOf(wwid):
		refused.stays = true
		refused.reason += ", and is in use as that by " + disk.Map
		return refused
	}
	if err := c.expel(ctx, v, s, disk, wwid); err != nil {
		refused.stays = true
		return fmt.Errorf("%w; %w", refused, err)
	}
	if wwid == v.WWID {
		return errOutdated
	}
	return refused
}

// examine is look for a disk that is to be the same unit as those that have proved
// what they are before. If there are two with the identity of v, the one that is in
// its map, or that came first, keeps it.
func (c *Connector) examine(ctx context.Context, state *volume, v Volume, s openiscsi.Session, condemn func(error)) (block.Disk, bool, error) {
	disk, wrong, err := c.look(ctx, v, s, condemn)
	if err != nil {
		return disk, wrong, err
	}
	serial := state.probes.unit(disk.Serial)
	if serial == disk.Serial {
		return disk, false, nil
	}
	twin := &refusal{twin: true, reason: fmt.Sprintf("LUN %d says that it is this volume, and has the serial number %s, not %s: "+
		"the array has given one identity twice", disk.LUN, disk.Serial, serial)}
	condemn(twin)
	if err := c.expel(ctx, v, s, disk, v.WWID); err != nil {
		return disk, true, fmt.Errorf("%w; %w", twin, err)
	}
	return block.Disk{}, true, twin
}

// unit returns the serial number that a volume's disks have, given that of one that
// has proved its identity. One without any is like all others.
func (ps *probes) unit(serial string) string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.serial == "" {
		ps.serial = serial
	}
	if serial == "" {
		return ""
	}
	return ps.serial
}

// learn notes the serial number of the disks that are in v's map already. One at
// another LUN of v's target tells nothing: multipathd has put it there by itself.
func (ps *probes) learn(now *view, v Volume, m dm.Map) {
	for _, p := range m.Paths {
		d, ok := now.byNumber[[2]uint32{p.Major, p.Minor}]
		if ok && (d.session.Portal.Target != v.Target || d.LUN == uint64(v.LUN)) {
			ps.unit(d.Serial)
		}
	}
}

// proveStray is prove for a disk in v's map that is none of its expected paths. One
// at another LUN of v's target is removed even if it says that it is v: of two LUNs
// with one identity, v is the one that the caller has named. multipathd takes every
// disk for a path that says so.
func (c *Connector) proveStray(ctx context.Context, v Volume, s openiscsi.Session, disk block.Disk, condemn func(error)) error {
	if s.Portal.Target != v.Target || disk.LUN == uint64(v.LUN) {
		return c.prove(ctx, v, s, disk, condemn)
	}
	twin := &refusal{reason: fmt.Sprintf(
		"LUN %d says that it is this volume, which is LUN %d: the array has given one identity twice", disk.LUN, v.LUN,
	)}
	condemn(twin)
	if err := c.expel(ctx, v, s, disk, v.WWID); err != nil {
		twin.stays = true
		return fmt.Errorf("%w; %w", twin, err)
	}
	return twin
}

// excluded is a path that is not expected, has come into the map, and was removed.
type excluded struct {
	Path
	at time.Time
}

// exclude notes a path that is not expected and was removed.
func (ps *probes) exclude(s openiscsi.Session, err error) {
	p := Path{Portal: s.Portal.Addr, NetDevice: s.Portal.NetDevice(), State: PathQuarantined, Reason: err.Error()}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.excluded = append(ps.excluded, excluded{p, time.Now()})
}

// recent returns what was removed within the last while, each once.
func (ps *probes) recent() []Path {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.excluded = slices.DeleteFunc(ps.excluded, func(e excluded) bool { return time.Since(e.at) > quarantine })
	var list []Path
	for _, e := range ps.excluded {
		if !slices.Contains(list, e.Path) {
			list = append(list, e.Path)
		}
	}
	return list
}

// expel makes the kernel forget a disk, which takes it out of its map at once.
func (c *Connector) expel(ctx context.Context, v Volume, s openiscsi.Session, disk block.Disk, answered string) error {
	c.log.ErrorContext(ctx, "removing a disk: it is not what it was taken for", "disk", disk.Name, "lun", disk.LUN,
		"taken_for", disk.WWID, "answered", answered, "wwid", v.WWID, "volume_lun", v.LUN)
	return c.deleteDisk(s, disk)
}
