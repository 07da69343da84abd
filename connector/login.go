// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// settings are of every session: queues deep enough that a LUN that hangs does
// not starve the others, and a dead connection found in seconds.
var settings = openiscsi.Settings{
	LoginTimeout:       10,
	NoopInterval:       2,
	NoopTimeout:        3,
	ReplacementTimeout: 5,
	CommandsMax:        512,
	QueueDepth:         64,
}

// loginDeadline ends a login that iscsid itself does not give up. Its own limit
// is LoginTimeout for the connection and as much for the login phase.
const loginDeadline = 40 * time.Second

// The pause before a failed login is tried again doubles between these.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// login is the state of the logins to one portal through one iface.
type login struct {
	cancel context.CancelFunc // nil while none runs
	done   chan struct{}      // closed when the one that runs has ended
	next   time.Time          // not before
	pause  time.Duration
	chap   CHAP  // of the last one
	err    error // of the last one
}

// attempt is a login that is due.
type attempt struct {
	portal openiscsi.Portal
	// stale, if not nil, is a lost session to end first: iscsid would go on for ever
	// with the secret that it had at its login.
	stale *openiscsi.Session
	login *login
}

// login returns an attempt for logIn, unless one runs or it is too soon after a
// failure, and why there is no session yet.
func (c *Connector) login(p openiscsi.Portal, chap CHAP, stale *openiscsi.Session) (why string, due *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logins[p]
	if l == nil {
		l = &login{}
		c.logins[p] = l
	}
	if l.cancel == nil && (!time.Now().Before(l.next) || chap != l.chap) {
		l.done, l.chap = make(chan struct{}), chap
		l.cancel = func() {} // until logIn has it run
		due = &attempt{p, stale, l}
	}
	if l.err != nil {
		return l.err.Error(), due
	}
	return "logging in", due
}

// loggingIn reports whether a login to p runs.
func (c *Connector) loggingIn(p openiscsi.Portal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logins[p]
	return l != nil && l.cancel != nil
}

// loggingInAnywhere reports whether any login runs.
func (c *Connector) loggingInAnywhere() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.logins {
		if l.cancel != nil {
			return true
		}
	}
	return false
}

// logIn starts all attempts, and does not wait for them: a dead portal must delay
// nobody. They share one exchange with iscsid, but for each that has a lost session
// to end first, which may take as long as open-iscsi waits for the target's answer.
func (c *Connector) logIn(ctx context.Context, due []attempt, chap CHAP) {
	var together []attempt
	for _, a := range due {
		if a.stale != nil {
			c.logInTogether(ctx, []attempt{a}, chap)
			continue
		}
		together = append(together, a)
	}
	if len(together) > 0 {
		c.logInTogether(ctx, together, chap)
	}
}

func (c *Connector) logInTogether(ctx context.Context, due []attempt, chap CHAP) {
	// The logins outlive the call that asked for them, but belong to the same request
	// in the log.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loginDeadline)
	c.mu.Lock()
	for _, a := range due {
		a.login.cancel = cancel
	}
	c.mu.Unlock()
	c.started.Send()
	go func() {
		defer cancel()
		c.runLogins(ctx, due, chap)
	}()
}

func (c *Connector) runLogins(ctx context.Context, due []attempt, chap CHAP) {
	start := time.Now()
	left := map[openiscsi.Portal]attempt{}
	var portals []openiscsi.Portal
	for _, a := range due {
		if a.stale != nil {
			if err := c.abandon(ctx, *a.stale); err != nil {
				c.endLogin(ctx, a, start, err)
				continue
			}
		}
		left[a.portal] = a
		portals = append(portals, a.portal)
	}
	end := func(p openiscsi.Portal, err error) {
		a, ok := left[p]
		if !ok {
			return
		}
		delete(left, p)
		if chap != (CHAP{}) && errors.Is(err, openiscsi.ErrRefused) {
			err = fmt.Errorf("%w: %w", errSecret, err)
		}
		c.endLogin(ctx, a, start, err)
	}
	err := c.records.WriteRecords(ctx, portals, settings, openiscsi.Secret(chap))
	if err == nil {
		c.initiator.Login(ctx, portals, end)
		err = errors.New("open-iscsi has not said what became of the login")
	}
	for _, p := range portals {
		end(p, err)
	}
}

// endLogin notes how an attempt has ended.
func (c *Connector) endLogin(ctx context.Context, a attempt, start time.Time, err error) {
	if err != nil {
		c.log.WarnContext(ctx, "login failed", "path", a.portal.String(), "target", a.portal.Target, "error", err)
	} else {
		c.log.InfoContext(ctx, "logged in", "path", a.portal.String(), "target", a.portal.Target, "duration", time.Since(start))
	}
	c.mu.Lock()
	l := a.login
	l.cancel, l.err = nil, err
	// Also after a success: the session may not show yet to whoever looks next.
	if err == nil {
		l.pause = firstRetry
	} else {
		l.pause = min(max(2*l.pause, firstRetry), lastRetry)
	}
	l.next = time.Now().Add(l.pause)
	c.mu.Unlock()
	close(l.done)
	c.changed()
}

// abandon ends a lost session that cannot come back, unless it has. Its disks
// carry nothing any more; those of other volumes come back with the next session.
func (c *Connector) abandon(ctx context.Context, s openiscsi.Session) error {
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return err
	}
	lost := func(now openiscsi.Session) bool { return now.ID == s.ID && !now.LoggedIn() }
	if !slices.ContainsFunc(sessions, lost) {
		return nil
	}
	disks, err := c.disks.SessionDisks(s.ID)
	if err != nil {
		return err
	}
	for _, disk := range disks {
		if err := foreign(disk); err != nil {
			return err
		}
	}
	for _, disk := range disks {
		if err := c.deleteDisk(s, disk); err != nil {
			return err
		}
	}
	if err := c.initiator.Logout(ctx, []openiscsi.Session{s})[0]; err != nil {
		return err
	}
	c.log.InfoContext(ctx, "logged out", "path", s.Portal.String(), "target", s.Portal.Target,
		"session", s.ID, "proof", "ours by its iface, lost, its CHAP secret is not this node's")
	return nil
}

// errSecret is the reason of a path whose target lets this machine not in.
var errSecret = errors.New("the SAN refuses this node's CHAP secret or initiator name; " +
	"see that it has both as they are here")
