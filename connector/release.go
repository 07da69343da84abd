// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// tidyTimeout bounds what tidy starts: a logout from a dead portal takes as long
// as open-iscsi waits for its answer.
const tidyTimeout = time.Minute

// session returns which sessions are those of p, or why there can be none.
func (p Portal) session(target string) (openiscsi.Portal, error) {
	iface, err := openiscsi.Iface(p.NetDevice)
	if err != nil {
		return openiscsi.Portal{}, err
	}
	ip := p.Addr.Addr().Unmap()
	if p.NetDevice != "" {
		ip = ip.WithZone("") // the device tells the link
	}
	return openiscsi.Portal{
		Target: target, Addr: netip.AddrPortFrom(ip, p.Addr.Port()), TPGT: p.TPGT, Iface: iface,
	}, nil
}

// anyGroup returns p as it is compared: a session shows the portal group that the
// target has told, which need not be the one that was asked for.
func anyGroup(p openiscsi.Portal) openiscsi.Portal {
	p.TPGT = 0
	return p
}

// want notes that a volume needs target and, unless they are nil, which sessions;
// changed is true when those are others than before.
func (c *Connector) want(state *volume, target string, portals map[openiscsi.Portal]bool) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state.target = target
	if portals == nil {
		return false
	}
	changed = len(portals) != len(state.portals) || state.portals == nil
	for p := range portals {
		changed = changed || !state.portals[p]
	}
	state.portals = portals
	return changed
}

// wanted reports whether a volume needs the session of p. c.mu is held.
func (c *Connector) wanted(p openiscsi.Portal) bool {
	for _, v := range c.volumes {
		if v.target == p.Target && v.portals[anyGroup(p)] {
			return true
		}
	}
	return false
}

// LoggedIn reports whether a session of ours to a portal is logged in, of
// whatever target, over exactly that network device; for an empty one, over what
// routing has chosen. It is evidence that the portal answers: iscsid notices
// within seconds when it does not.
func (c *Connector) LoggedIn(netDevice string, portal netip.AddrPort) bool {
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return false
	}
	for _, s := range sessions {
		p, err := Portal{Addr: portal, NetDevice: netDevice}.session(s.Portal.Target)
		if err == nil && s.LoggedIn() && anyGroup(p) == anyGroup(s.Portal) {
			return true
		}
	}
	return false
}

// Sweep logs out from portals that no volume needs, and removes our records of
// them: what a crash between login and scan or between logout and the records'
// removal, or a login that ended after its volume was gone, has left. A session
// that carries a disk stays, whether or not anybody has told yet what for.
func (c *Connector) Sweep(ctx context.Context) error {
	return errors.Join(c.release(ctx, ""), c.records.RemoveUnusedIfaces(ctx))
}

// tidy releases what no volume needs of target beside the caller, if there is
// anything: what a change of a volume's portals has left.
func (c *Connector) tidy(ctx context.Context, target string, now *view) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.tidying[target]) || !c.untidy(target, now) {
		return
	}
	c.tidying[target] = time.Now().Add(tidyTimeout)
	c.tidies.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
		defer cancel()
		if err := c.release(ctx, target); err != nil {
			c.log.WarnContext(ctx, "cannot log out from a portal that nothing needs", "target", target, "error", err)
		}
		c.mu.Lock()
		c.tidying[target] = time.Now().Add(firstRetry)
		c.mu.Unlock()
	})
}

// untidy reports whether there is a session without a disk, or a login, that no
// volume needs. c.mu is held.
func (c *Connector) untidy(target string, now *view) bool {
	for p := range c.logins {
		if p.Target == target && !c.wanted(p) {
			return true
		}
	}
	for _, s := range now.sessions {
		if s.Portal.Target == target && len(now.disks[s.ID]) == 0 && !c.wanted(s.Portal) {
			return true
		}
	}
	return false
}

// release logs out from the portals of target, or of every target for "", that
// no volume needs, and removes our records of them. A session that still carries
// a disk stays, and so does its record.
func (c *Connector) release(ctx context.Context, target string) error {
	portals, err := c.known()
	if err != nil {
		return err
	}
	var going []leaver
	for p := range portals {
		if target != "" && p.Target != target {
			continue
		}
		if login, ok := c.leave(p); ok {
			going = append(going, leaver{p, login})
		}
	}
	if len(going) == 0 {
		return nil
	}
	done, err := c.logout(ctx, going)
	if done {
		// Not else: each failure would wake everybody, and who is woken tries again.
		c.changed()
	}
	return err
}

// known returns all that there is a session, a record or a login of.
func (c *Connector) known() (map[openiscsi.Portal]bool, error) {
	records, err := c.records.Recorded()
	if err != nil {
		return nil, err
	}
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return nil, err
	}
	portals := map[openiscsi.Portal]bool{}
	for _, p := range records {
		portals[anyGroup(p)] = true
	}
	for _, s := range sessions {
		portals[anyGroup(s.Portal)] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.logins {
		portals[anyGroup(p)] = true
	}
	return portals, nil
}

// leave marks p as being left and ends a login to it that still runs, whose end
// it returns; ok is false when a volume needs p, or somebody else is at it.
func (c *Connector) leave(p openiscsi.Portal) (login <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving[p] || c.wanted(p) {
		return nil, false
	}
	for to, l := range c.logins {
		if anyGroup(to) != p {
			continue
		}
		if l.cancel != nil {
			l.cancel()
			login = l.done
		}
		delete(c.logins, to)
	}
	c.leaving[p] = true
	return login, true
}

func (c *Connector) left(p openiscsi.Portal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leaving, p)
}

// beingLeft reports whether p is being logged out from: a login would meet that.
func (c *Connector) beingLeft(p openiscsi.Portal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaving[anyGroup(p)]
}
