// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// adoptionPatience is how long multipathd may take, from the proof of a disk's
// identity, to put it into the map by itself. It waits for udev, which starts
// processes.
const adoptionPatience = 3 * time.Second

// refusals is how often multipathd may refuse a verified disk before udev is
// asked to look at the disk again: udev on a busy machine needs some seconds.
const refusals = 4

// Repair takes one step towards all expected paths of v, and away from those that
// are no longer expected, and tells how they are.
// It starts what is due (a login, a scan, a proof of identity) and does not wait
// for it: Changed tells when to look again.
func (c *Connector) Repair(ctx context.Context, v Volume) (Status, error) {
	if err := v.check(); err != nil {
		return Status{}, err
	}
	state := c.volume(v.WWID)
	state.Lock()
	defer state.Unlock()
	wanted := map[openiscsi.Portal]bool{}
	for _, portal := range v.Portals {
		// One whose device has no possible name has no session either; its Path says so.
		if p, err := portal.session(v.Target); err == nil {
			wanted[anyGroup(p)] = true
		}
	}
	if c.want(state, v.Target, wanted) {
		state.before = -1
	}
	state.probes.open()

	// Before the first disk appears: without this line multipathd, as it is set
	// up by default, makes no map.
	if err := c.allowed.Add(ctx, v.WWID); err != nil {
		return Status{}, err
	}
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return Status{}, err
	}
	maps, err := c.multipath.Maps(ctx)
	if err != nil {
		return Status{}, err
	}
	m := findMap(maps, v.WWID)

	status := Status{Paths: make([]Path, len(v.Portals))}
	for i, portal := range v.Portals {
		status.Paths[i] = c.path(ctx, state, v, portal, sessions, m)
	}
	if err := c.proveStrays(ctx, state, v, sessions, m, status.Paths); err != nil {
		return status, err
	}
	if err := c.kernelMap(v, &status); err != nil {
		return status, err
	}
	if err := c.count(state, sessions, m, status.Map); err != nil {
		return status, err
	}
	list, err := c.findSurplus(v, wanted, sessions, m, status.Map)
	if err != nil {
		return status, err
	}
	usable := status.Up()
	for _, s := range list {
		if s.usable && state.probes.proved(s.session.ID, s.disk.Name) {
			usable++
		}
	}
	c.drain(ctx, state, v, list, m, &status)
	c.tidy(ctx, v.Target, sessions)
	if err := c.name(v, usable, &status); err != nil {
		return status, err
	}
	return status, c.grow(ctx, state, v, sessions, m, usable, &status)
}

// kernelMap notes v's map in status. Only the kernel knows whether there is one;
// multipathd tells of none while it starts.
func (c *Connector) kernelMap(v Volume, status *Status) error {
	d, err := c.mapByUUID(multipath.UUIDPrefix + v.WWID)
	if errors.Is(err, dm.ErrNotFound) {
		return nil
	}
	status.Map = d.Name
	return err
}

// count notes how many paths are usable when the portals have changed, or when
// the first call of this process finds them.
func (c *Connector) count(state *volume, sessions []openiscsi.Session, m multipath.Map, kernelMap string) error {
	if state.before >= 0 || kernelMap != "" && m.WWID == "" {
		return nil
	}
	n, err := c.usableOn(sessions, m)
	if err == nil {
		state.before = n
	}
	return err
}

// name gives v's map its name, once enough paths have proved what it is, and
// takes the name away from anything else: the kernel gives the number of a map
// that is gone to the next one. Usable counts paths that are draining too: they
// are as good as any until they go.
func (c *Connector) name(v Volume, usable int, status *Status) error {
	enough := usable >= v.minPaths()
	switch {
	case status.Map == "":
		return c.unlink(v)
	case enough:
		if err := c.link(v, status.Map); err != nil {
			return err
		}
	case !c.linked(v, status.Map):
		return c.unlink(v)
	}
	status.Device, status.Ready = c.file(v), enough
	return nil
}

// volume returns what is remembered of a WWID. It is a few words a volume and
// kept for good, so that two calls for one WWID always meet at one lock.
func (c *Connector) volume(wwid string) *volume {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.volumes[wwid]
	if state == nil {
		state = &volume{}
		c.volumes[wwid] = state
	}
	return state
}

func findMap(maps []multipath.Map, wwid string) multipath.Map {
	for _, m := range maps {
		if m.WWID == wwid {
			return m
		}
	}
	return multipath.Map{}
}

// path tells how one expected path is, and starts what it needs next.
func (c *Connector) path(ctx context.Context, state *volume, v Volume, portal Portal,
	sessions []openiscsi.Session, m multipath.Map,
) Path {
	path := Path{Portal: portal.Addr, NetDevice: portal.NetDevice, State: PathMissing}
	p, err := portal.session(v.Target)
	if err != nil {
		path.Reason = err.Error()
		return path
	}
	if c.beingLeft(p) {
		path.Reason = "the session that nothing needed is just being logged out"
		return path
	}
	session, ok := findSession(sessions, p)
	noDevice := c.initiator.FindDevice(portal.NetDevice)
	if !ok && noDevice != nil {
		path.Reason = noDevice.Error()
		return path
	}
	// The kernel shows a session before its first login has ended.
	if !ok || !session.LoggedIn() && c.loggingIn(p) {
		path.Reason = c.login(ctx, p, v.CHAP, nil)
		return path
	}
	if !session.LoggedIn() {
		if disk, found, _ := c.findDisk(v, session); found {
			path.Disk = disk.Name
		}
		state.probes.forget(session.ID)
		path.State, path.Reason = PathDown, "the session is lost; iscsid is reconnecting"
		if noDevice != nil {
			path.Reason = "the session is lost: " + noDevice.Error()
			return path
		}
		if secret, err := c.initiator.Secret(session); err == nil && CHAP(secret) != v.CHAP {
			path.Reason = "the session is lost, and had another CHAP secret: " + c.login(ctx, p, v.CHAP, &session)
		}
		return path
	}
	probe := c.probe(ctx, state, v, session)
	path.Disk = probe.disk.Name
	switch {
	case probe.wrong:
		path.State, path.Reason = PathQuarantined, probe.err.Error()
	case probe.err != nil:
		path.State, path.Reason = PathDown, probe.err.Error()
	case probe.at.IsZero():
		path.State, path.Reason = PathJoining, "proving its identity"
	default:
		path.State, path.Reason = c.inMap(ctx, state, session.ID, m, probe)
	}
	return path
}

// inMap tells how multipathd sees a verified disk.
func (c *Connector) inMap(ctx context.Context, state *volume, session int, m multipath.Map, pr probe) (PathState, string) {
	for _, p := range m.Paths {
		if p.Disk != pr.disk.Name {
			continue
		}
		if p.Usable() {
			return PathUp, ""
		}
		return PathDown, fmt.Sprintf("multipathd says %s, %s", p.DM, p.Checker)
	}
	if pr.disk.SizeBytes < pr.size {
		// In the map it would hold up the others.
		return PathJoining, fmt.Sprintf("verified; it has %d bytes, and the volume shall have %d", pr.disk.SizeBytes, pr.size)
	}
	if now := time.Now(); now.After(pr.addAt) {
		state.probes.postpone(session, now.Add(adoptionPatience))
		if err := c.multipath.AddPath(ctx, pr.disk.Name); err != nil {
			return PathJoining, c.refused(ctx, state, session, pr.disk.Name, err)
		}
	}
	return PathJoining, "verified; multipathd has not yet put it into the map"
}

// refused mends what makes multipathd refuse a good disk for ever: it goes by
// what udev knows, and an event of the disk that came while its path was dead has
// left udev with no identity of it. No further event comes by itself.
func (c *Connector) refused(ctx context.Context, state *volume, session int, disk string, cause error) string {
	if state.probes.refuse(session)%refusals == 0 {
		c.log.InfoContext(ctx, "multipathd refuses a verified disk; having udev look at it again", "disk", disk, "error", cause)
		if err := c.devices.Announce(disk); err != nil {
			return errors.Join(cause, err).Error()
		}
	}
	return cause.Error()
}

func findSession(sessions []openiscsi.Session, p openiscsi.Portal) (openiscsi.Session, bool) {
	for _, s := range sessions {
		// Exactly this address: 10.1.1.1 is not 10.1.1.10.
		if anyGroup(s.Portal) == anyGroup(p) {
			return s, true
		}
	}
	return openiscsi.Session{}, false
}
