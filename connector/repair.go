// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// adoptionPatience is how long multipathd may take, from the proof of a disk's
// identity, to put it into the map by itself. It waits for udev.
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
	if err := c.claim(state, v); err != nil {
		return Status{}, err
	}
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

	now, err := c.looks.get(ctx)
	if err != nil {
		return Status{}, err
	}
	state.probes.learn(now, v, now.mapOf(v.WWID))
	status := c.observe(ctx, state, v, now)
	if now.daemon == nil {
		if then := c.makeMap(ctx, state, v, now, &status); then != nil {
			now = then
			status = c.observe(ctx, state, v, now)
		}
	}
	m := now.mapOf(v.WWID)
	if m.Name != "" {
		// multipathd removes an idle map that it may not have when it is reconfigured.
		if err := c.allowed.Add(ctx, v.WWID); err != nil {
			return status, err
		}
	}
	inMap := now.carrying(m)
	c.proveStrays(ctx, state, v, now, m, status.Paths)
	status.Paths = append(status.Paths, state.probes.recent()...)
	if state.before < 0 {
		state.before = usable(inMap)
	}
	list := findSurplus(v, wanted, now, m, inMap)
	c.drain(ctx, state, v, list, now, &status)
	c.tidy(ctx, v.Target, now)
	if now.daemon == nil {
		c.adopt(ctx, state, v, m)
	}
	growth := c.grow(ctx, state, v, now, m, state.probes.ready(list, status), &status)
	// All that may take a while is behind us: a patrol may have found out meanwhile that
	// a path is another's.
	state.probes.retract(&status)
	if err := c.name(v, state.probes.ready(list, status), &status); err != nil {
		return status, err
	}
	if growth != nil {
		return status, growth
	}
	return status, now.daemon
}

// ready returns how many paths carry I/O and have proved what they are: expected
// ones and those that are draining.
func (ps *probes) ready(draining []surplus, status Status) int {
	n := status.Up()
	for _, s := range draining {
		if s.usable && ps.proved(s.session.ID, s.disk.Name) {
			n++
		}
	}
	return n
}

// retract takes back that a path is up whose disk has not kept its proof since.
func (ps *probes) retract(status *Status) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	proven := map[string]bool{}
	for _, p := range ps.session {
		proven[p.disk.Name] = p.proven()
	}
	for i, p := range status.Paths {
		if p.State == PathUp && !proven[p.Disk] {
			status.Paths[i].State, status.Paths[i].Reason = PathJoining, "proving its identity again"
		}
	}
}

// observe tells how each expected path is, and starts what they need next.
func (c *Connector) observe(ctx context.Context, state *volume, v Volume, now *view) Status {
	status := Status{Map: now.mapOf(v.WWID).Name, Paths: make([]Path, len(v.Portals))}
	var due []attempt
	for i, portal := range v.Portals {
		var a *attempt
		status.Paths[i], a = c.path(ctx, state, v, portal, now)
		if a != nil {
			due = append(due, *a)
		}
	}
	c.logIn(ctx, due, v.CHAP)
	return status
}

func usable(inMap map[string]bool) int {
	n := 0
	for _, carries := range inMap {
		if carries {
			n++
		}
	}
	return n
}

// name gives v's map its name, once enough paths have proved what it is, and
// takes the name away from anything else: the kernel gives the number of a map
// that is gone to the next one. Ready counts paths that are draining too: they
// are as good as any until they go.
func (c *Connector) name(v Volume, ready int, status *Status) error {
	enough := ready >= v.minPaths()
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

// path tells how one expected path is, and starts what it needs next. Due is not
// nil when that is a login.
func (c *Connector) path(ctx context.Context, state *volume, v Volume, portal Portal, now *view) (_ Path, due *attempt) {
	path := Path{Portal: portal.Addr, NetDevice: portal.NetDevice, State: PathMissing}
	p, err := portal.session(v.Target)
	if err != nil {
		path.Reason = err.Error()
		return path, nil
	}
	if c.beingLeft(p) {
		path.Reason = "the session that nothing needed is just being logged out"
		return path, nil
	}
	session, ok := findSession(now.sessions, p)
	noDevice := c.initiator.FindDevice(portal.NetDevice)
	if !ok && noDevice != nil {
		path.Reason = noDevice.Error()
		return path, nil
	}
	// The kernel shows a session before its first login has ended.
	if !ok || !session.LoggedIn() && c.loggingIn(p) {
		path.Reason, due = c.login(p, v.CHAP, nil)
		return path, due
	}
	disk, found := now.disk(session.ID, v.LUN)
	if !session.LoggedIn() {
		path.Disk = disk.Name
		state.probes.forget(session.ID)
		path.State, path.Reason = PathDown, "the session is lost; iscsid is reconnecting"
		if noDevice != nil {
			path.Reason = "the session is lost: " + noDevice.Error()
			return path, nil
		}
		if secret, err := c.initiator.Secret(session); err == nil && CHAP(secret) != v.CHAP {
			path.Reason, due = c.login(p, v.CHAP, &session)
			path.Reason = "the session is lost, and had another CHAP secret: " + path.Reason
		}
		return path, due
	}
	probe := c.probe(ctx, state, v, session, disk)
	path.Disk = probe.disk.Name
	switch {
	case probe.wrong && (probe.running || probe.hurry) && disk.MapUUID == multipath.UUIDPrefix+v.WWID:
		path.State, path.Reason = PathDown, probe.err.Error()+"; it is being taken out of the map"
	case probe.wrong:
		path.State, path.Reason = PathQuarantined, probe.err.Error()
	case found && disk.Map != "" && disk.MapUUID != multipath.UUIDPrefix+v.WWID:
		path.State, path.Disk = PathQuarantined, disk.Name
		path.Reason = fmt.Sprintf("%s is part of %s, which is not this volume's map", disk.Name, disk.Map)
	case probe.err != nil:
		path.State, path.Reason = PathDown, probe.err.Error()
	case probe.at.IsZero():
		path.State, path.Reason = PathJoining, "proving its identity"
	case !found || disk.Name != probe.disk.Name || disk.WWID != probe.disk.WWID: // a name is given anew
		path.State, path.Reason = PathJoining, "its disk is just going or coming"
		state.probes.again(session.ID)
	default:
		path.State, path.Reason = c.inMap(ctx, state, v, now, session.ID, probe)
		if probe.failed && path.State == PathUp {
			// multipathd lets a path back in that answers, whatever it is by now.
			state.probes.again(session.ID)
			c.probe(ctx, state, v, session, block.Disk{})
		}
	}
	return path, nil
}

// inMap tells how the kernel uses a verified disk.
func (c *Connector) inMap(ctx context.Context, state *volume, v Volume, now *view, session int, pr probe) (PathState, string) {
	m := now.mapOf(v.WWID)
	for _, p := range m.Paths {
		if p.Major != pr.disk.Major || p.Minor != pr.disk.Minor {
			continue
		}
		if p.Active {
			return PathUp, ""
		}
		state.probes.fail(session)
		return PathDown, "it has failed, and multipathd has not yet found it well again"
	}
	if pr.disk.SizeBytes < pr.size {
		// In the map it would hold up the others.
		return PathJoining, fmt.Sprintf("verified; it has %d bytes, and the volume shall have %d", pr.disk.SizeBytes, pr.size)
	}
	if m.Name == "" {
		return PathJoining, fmt.Sprintf("verified; the map is made of %d verified paths at least", v.minPaths())
	}
	if now.daemon != nil { // each question would wait until its time is over
		return PathJoining, "verified; " + now.daemon.Error()
	}
	if time.Now().After(pr.addAt) {
		state.probes.postpone(session, time.Now().Add(adoptionPatience))
		if err := c.daemon.AddPath(ctx, pr.disk.Name); err != nil {
			return PathJoining, c.refused(ctx, state, session, pr.disk.Name, err)
		}
		c.looks.changed()
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
