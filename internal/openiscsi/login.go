// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/mallee-io/mallee/internal/command"
)

// Codes of iscsiadm, as it exits and as it reports them for each portal
// (include/iscsi_err.h of open-iscsi).
const (
	codeTransport     = 4
	codeTimeout       = 8
	codeSessionExists = 15
	codeLogin         = 19
	codeNoDaemon      = 20
	codeNothingFound  = 21
	codeNoSession     = 22
	codeLoginAuth     = 24
)

// Reasons for which a login fails, for errors.Is.
var (
	ErrTimeout     = errors.New("login timed out")
	ErrUnreachable = errors.New("cannot connect")
	ErrRefused     = errors.New("the target refused this initiator")
	ErrNoDaemon    = errors.New("iscsid does not answer")
	// ErrPending is that of a portal which iscsid is still busy with for a login
	// whose caller has gone: it ends by itself, within that login's timeout.
	ErrPending = errors.New("iscsid has not ended an earlier login")
)

// Login logs in to portals, whose records must exist and of which none may be
// named twice, all at the same time, and returns when the outcome of each is
// known. It calls done once for each, one call at a time; a session that is there
// already is success. When ctx ends early iscsid may still finish the logins.
//
// Portals of one target and iface share one process where that logs in to
// nothing else. It prints its outcomes when it ends, so a portal that does not
// answer holds back the news of the others until its login times out; their
// sessions are there long before, for Sessions to show. iscsid looks for a TCP
// connection after 1 ms and then once a second (session_conn_poll in
// usr/initiator.c): a portal that takes longer to accept one costs a second.
//
// It is a process, not a request to iscsid's socket: that request is iscsid's own
// record of the portal, a C struct which changes with its version.
func (in *Initiator) Login(ctx context.Context, portals []Portal, done func(Portal, error)) {
	var mu sync.Mutex
	report := func(p Portal, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			err = fmt.Errorf("login to %s: %w", p, err)
		}
		done(p, err)
	}
	groups := map[group][]Portal{}
	for _, p := range portals {
		if err := p.check(); err != nil {
			report(p, err)
			continue
		}
		g := group{p.Target, p.Iface}
		groups[g] = append(groups[g], p)
	}
	var wg sync.WaitGroup
	for g, portals := range groups {
		wg.Go(func() { in.login(ctx, g, portals, report) })
	}
	wg.Wait()
}

// login is Login for portals of one group.
func (in *Initiator) login(ctx context.Context, g group, portals []Portal, report func(Portal, error)) {
	if err := in.exchanges.beginLogin(ctx, g); err != nil {
		for _, p := range portals {
			report(p, err)
		}
		return
	}
	defer in.exchanges.endLogin(g)
	if len(portals) > 1 && in.exactly(g, portals) {
		in.loginAll(ctx, g, portals, report)
		return
	}
	var wg sync.WaitGroup
	for _, p := range portals {
		wg.Go(func() { report(p, in.loginOne(ctx, p)) })
	}
	wg.Wait()
}

// anyGroup returns p as it is compared: a session shows the portal group that the
// target has told, which need not be the one that was asked for.
func anyGroup(p Portal) Portal {
	p.TPGT = 0
	return p
}

// present returns the portals to which there is a session of ours.
func (in *Initiator) present() (map[Portal]bool, error) {
	sessions, err := in.Sessions()
	there := map[Portal]bool{}
	for _, s := range sessions {
		there[anyGroup(s.Portal)] = true
	}
	return there, err
}

// exactly reports whether a login to all records of g is a login to portals
// alone: whether each of them is a portal's or has a session. One written in this
// moment is somebody's who logs in to it next.
func (in *Initiator) exactly(g group, portals []Portal) bool {
	known, err := in.present()
	if err != nil {
		return false
	}
	for _, p := range portals {
		known[anyGroup(p)] = true
	}
	records, err := filepath.Glob(in.etc("nodes", g.target, "*", g.iface)) // neither can be a pattern
	if err != nil {
		return false
	}
	for _, file := range records {
		p := Portal{Target: g.target, Iface: g.iface}
		if !p.parse(filepath.Base(filepath.Dir(file))) || !known[anyGroup(p)] {
			return false
		}
	}
	return true
}

// loginAll logs in to all records of g with one process, which has iscsid start
// on all of them before it waits for the first.
func (in *Initiator) loginAll(ctx context.Context, g group, portals []Portal, report func(Portal, error)) {
	stdout, err := in.Run.Run(ctx, "iscsiadm", "-m", "node", "-T", g.target, "-I", g.iface, "--login")
	codes := outcomes(string(stdout), stderr(err))
	there, _ := in.present() // without it what iscsiadm said must do
	if err == nil {
		err = errors.New("is its record there?")
	}
	for _, p := range portals {
		code, said := codes[fmt.Sprintf("iface: %s, target: %s, portal: %s", p.Iface, p.Target, recordPortal(p))]
		switch {
		case said && code == 0:
			report(p, nil)
		case said && code != codeSessionExists: // a session there is one that is being given up
			report(p, loginError(code, fmt.Errorf("iscsid reports error %d", code)))
		case there[anyGroup(p)]:
			report(p, nil)
		case said:
			report(p, ErrPending)
		default:
			report(p, fmt.Errorf("iscsiadm did not say how it ended: %w", err))
		}
	}
}

// loginOne logs in to one portal with a process of its own.
func (in *Initiator) loginOne(ctx context.Context, p Portal) error {
	portal := fmt.Sprintf("%s,%d", p.Addr, p.TPGT)
	_, err := in.Run.Run(ctx, "iscsiadm", "-m", "node", "-T", p.Target, "-p", portal, "-I", p.Iface, "--login")
	code := command.ExitCode(err)
	if code == codeSessionExists {
		if there, _ := in.present(); there[anyGroup(p)] {
			return nil
		}
	}
	return loginError(code, err)
}

// loginError returns what a code means, and other for one without a meaning here.
func loginError(code int, other error) error {
	switch code {
	case codeTransport:
		return ErrUnreachable
	case codeTimeout:
		return ErrTimeout
	case codeSessionExists:
		return ErrPending // it has a session in mind that the kernel does not show
	case codeNoDaemon:
		return ErrNoDaemon
	case codeLogin, codeLoginAuth:
		// iscsid has the first for a CHAP secret that the target does not take, and
		// the second where it had none to offer (usr/login.c).
		return ErrRefused
	}
	return other
}
