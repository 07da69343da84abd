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

// login starts a login to p unless one runs or it is too soon after a failure,
// and returns why there is no session yet. It does not wait: a dead portal must
// delay nobody. Stale, if not nil, is a lost session to end first: iscsid would
// go on for ever with the secret that it had at its login.
func (c *Connector) login(ctx context.Context, p openiscsi.Portal, chap CHAP, stale *openiscsi.Session) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logins[p]
	if l == nil {
		l = &login{}
		c.logins[p] = l
	}
	due := !time.Now().Before(l.next) || chap != l.chap
	if l.cancel == nil && due {
		// The login outlives the call that asked for it, but belongs to the
		// same request in the log.
		var run context.Context
		run, l.cancel = context.WithTimeout(context.WithoutCancel(ctx), loginDeadline)
		l.done = make(chan struct{})
		l.chap = chap
		go c.runLogin(run, p, chap, stale, l, l.done)
	}
	if l.err != nil {
		return l.err.Error()
	}
	return "logging in"
}

// loggingIn reports whether a login to p runs.
func (c *Connector) loggingIn(p openiscsi.Portal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logins[p]
	return l != nil && l.cancel != nil
}

func (c *Connector) runLogin(ctx context.Context, p openiscsi.Portal, chap CHAP, stale *openiscsi.Session, l *login, done chan struct{}) {
	start := time.Now()
	var err error
	if stale != nil {
		err = c.abandon(ctx, *stale)
	}
	if err == nil {
		err = c.initiator.WriteRecords(ctx, []openiscsi.Portal{p}, settings, openiscsi.Secret(chap))
	}
	if err == nil {
		c.initiator.Login(ctx, []openiscsi.Portal{p}, func(_ openiscsi.Portal, e error) { err = e })
	}
	if chap != (CHAP{}) && errors.Is(err, openiscsi.ErrRefused) {
		err = fmt.Errorf("%w: %w", errSecret, err)
	}
	if err != nil {
		c.log.WarnContext(ctx, "login failed", "path", p.String(), "target", p.Target, "error", err)
	} else {
		c.log.InfoContext(ctx, "logged in", "path", p.String(), "target", p.Target, "duration", time.Since(start))
	}
	c.mu.Lock()
	l.cancel()
	l.cancel, l.err = nil, err
	// Also after a success: the session may not show yet to whoever looks next.
	if err == nil {
		l.pause = firstRetry
	} else {
		l.pause = min(max(2*l.pause, firstRetry), lastRetry)
	}
	l.next = time.Now().Add(l.pause)
	c.mu.Unlock()
	close(done)
	c.wake.Send()
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
	disks, err := c.devices.SessionDisks(s.ID)
	if err != nil {
		return err
	}
	for _, disk := range disks {
		if err := c.devices.DeleteDisk(disk.Name); err != nil {
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
