// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// leaver is a portal that is being left.
type leaver struct {
	portal openiscsi.Portal
	login  <-chan struct{} // closed when the login that was cancelled has ended; nil for none
}

// logout ends the sessions of all portals that are being left, and removes their
// records, but for those whose session carries a disk. Done is true if any has
// gone. Sessions that are logged in share one exchange with iscsid; a lost one
// takes as long as open-iscsi waits for its answer, and has its own.
func (c *Connector) logout(ctx context.Context, going []leaver) (done bool, err error) {
	var mu sync.Mutex
	var errs []error
	end := func(list []leaver) {
		ok, err := c.logoutTogether(ctx, list)
		mu.Lock()
		defer mu.Unlock()
		done, errs = done || ok, append(errs, err)
	}
	sessions, err := c.initiator.Sessions()
	if err != nil {
		for _, l := range going {
			c.left(l.portal)
		}
		return false, err
	}
	var together []leaver
	var wg sync.WaitGroup
	for _, l := range going {
		s, there := findSession(sessions, l.portal)
		if l.login == nil && (!there || s.LoggedIn()) {
			together = append(together, l)
			continue
		}
		wg.Go(func() { end([]leaver{l}) })
	}
	if len(together) > 0 {
		end(together)
	}
	wg.Wait()
	return done, errors.Join(errs...)
}

func (c *Connector) logoutTogether(ctx context.Context, going []leaver) (done bool, err error) {
	defer func() {
		for _, l := range going {
			c.left(l.portal)
		}
	}()
	for _, l := range going {
		if l.login == nil {
			continue
		}
		select { // if it ended later it would write its record again
		case <-l.login:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return false, err
	}
	var errs []error
	var idle []openiscsi.Session
	busy := map[openiscsi.Portal]bool{} // stays, and its record
	for _, s := range sessions {
		if !slices.ContainsFunc(going, func(l leaver) bool { return l.portal == anyGroup(s.Portal) }) {
			continue
		}
		carries, err := c.carries(ctx, s)
		errs = append(errs, err)
		if err != nil || carries {
			busy[anyGroup(s.Portal)] = true
			continue
		}
		idle = append(idle, s)
	}
	for i, err := range c.initiator.Logout(ctx, idle) {
		s := idle[i]
		errs = append(errs, err)
		if err != nil {
			busy[anyGroup(s.Portal)] = true
			continue
		}
		done = true
		c.log.InfoContext(ctx, "logged out", "path", s.Portal.String(), "net_device", s.Portal.NetDevice(), "target", s.Portal.Target,
			"session", s.ID, "proof", "ours by its iface, no disk, no volume needs it")
	}
	for _, l := range going {
		if busy[l.portal] {
			continue
		}
		err := c.records.RemoveRecord(ctx, l.portal)
		done = done || err == nil
		errs = append(errs, err)
	}
	return done, errors.Join(errs...)
}

// carries reports whether a session has a disk, or is being searched for one.
func (c *Connector) carries(ctx context.Context, s openiscsi.Session) (bool, error) {
	disks, err := c.disks.SessionDisks(s.ID)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	needed := false
	for _, v := range c.volumes {
		needed = needed || v.target == s.Portal.Target
		if v.probes.looking(s.ID) {
			return true, nil
		}
	}
	if len(disks) > 0 && !needed {
		c.log.WarnContext(ctx, "session stays: it carries a disk that no volume accounts for",
			"path", s.Portal.String(), "disk", disks[0].Name)
	}
	return len(disks) > 0, nil
}
