// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/mallee-io/mallee/internal/command"
)

// Logout ends sessions of ours, all at the same time, and returns when all have
// ended: the error of each at its place, nil for success. All their devices must
// be gone; a session that is gone itself is success.
//
// Sessions of one target and iface share one process where there are no others of
// that target and iface. A lost connection that nobody has noticed yet holds this
// back until the target has not answered for the session's logout timeout.
func (in *Initiator) Logout(ctx context.Context, sessions []Session) []error {
	groups := map[group][]Session{}
	for _, s := range sessions {
		g := group{s.Portal.Target, s.Portal.Iface}
		groups[g] = append(groups[g], s)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	byID := map[int]error{}
	for g, sessions := range groups {
		wg.Go(func() {
			for _, s := range in.logoutAll(ctx, g, sessions) {
				wg.Go(func() {
					err := in.logoutOne(ctx, s)
					mu.Lock()
					defer mu.Unlock()
					byID[s.ID] = err
				})
			}
		})
	}
	wg.Wait()
	errs := make([]error, len(sessions))
	for i, s := range sessions {
		errs[i] = byID[s.ID]
	}
	return errs
}

// logoutAll ends sessions with one process if they are all that g has, and returns
// those that are left. Why is for logoutOne to tell.
func (in *Initiator) logoutAll(ctx context.Context, g group, sessions []Session) []Session {
	// A single one needs no lock, which one who was killed may hold.
	if len(sessions) < 2 || in.isLocked() {
		return sessions
	}
	ctx, end, ok := in.exchanges.beginLogout(ctx, g)
	if !ok {
		return sessions
	}
	defer end()
	asked := map[int]bool{}
	for _, s := range sessions {
		asked[s.ID] = true
	}
	if !in.hasOnly(g, asked) {
		return sessions
	}
	// iscsiadm goes by the sessions that it finds, whether or not they have a
	// record still (iscsi_logout_portals in usr/session_mgmt.c).
	if _, err := in.Run.Run(ctx, "iscsiadm", "-m", "node", "-T", g.target, "-I", g.iface, "--logout"); err != nil {
		return sessions
	}
	there, err := in.Sessions()
	if err != nil {
		return sessions
	}
	var left []Session
	for _, s := range there {
		if asked[s.ID] {
			left = append(left, s)
		}
	}
	return left
}

// hasOnly reports whether g has no session but those asked for, by their numbers:
// none that Sessions leaves out either, because it is not to an address, or not
// yet complete and so might be of g.
func (in *Initiator) hasOnly(g group, asked map[int]bool) bool {
	dirs, err := os.ReadDir(in.sys("class", "iscsi_session"))
	if err != nil {
		return false
	}
	for _, d := range dirs {
		id, err := strconv.Atoi(strings.TrimPrefix(d.Name(), "session"))
		if err == nil && asked[id] {
			continue
		}
		dir := in.sys("class", "iscsi_session", d.Name())
		iface, err := attribute(dir, "ifacename")
		if err == nil && iface != g.iface {
			continue
		}
		target, err := attribute(dir, "targetname")
		if err != nil || target == g.target {
			return false
		}
	}
	return true
}

// logoutOne ends one session with a process of its own.
func (in *Initiator) logoutOne(ctx context.Context, s Session) error {
	_, err := in.Run.Run(ctx, "iscsiadm", "-m", "session", "-r", strconv.Itoa(s.ID), "-u")
	switch command.ExitCode(err) {
	case codeNothingFound, codeNoSession:
		return nil
	}
	if err != nil {
		return fmt.Errorf("logout from %s: %w", s.Portal, err)
	}
	return nil
}
