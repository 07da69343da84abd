// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

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
	next   time.Time          // not before
	pause  time.Duration
	err    error // of the last one
}

// login starts a login to p unless one runs or it is too soon after a failure,
// and returns why there is no session yet. It does not wait: a dead portal must
// delay nobody.
func (c *Connector) login(ctx context.Context, p openiscsi.Portal) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logins[p]
	if l == nil {
		l = &login{}
		c.logins[p] = l
	}
	if l.cancel == nil && !time.Now().Before(l.next) {
		// The login outlives the call that asked for it, but belongs to the
		// same request in the log.
		var run context.Context
		run, l.cancel = context.WithTimeout(context.WithoutCancel(ctx), loginDeadline)
		go c.runLogin(run, p, l)
	}
	if l.err != nil {
		return l.err.Error()
	}
	return "logging in"
}

func (c *Connector) runLogin(ctx context.Context, p openiscsi.Portal, l *login) {
	start := time.Now()
	err := c.initiator.WriteRecord(ctx, p, settings)
	if err == nil {
		err = c.initiator.Login(ctx, p)
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
	c.wake.Send()
}

// release logs out from target and removes our records of it, if no volume
// needs it any more. Sessions that still carry disks stay.
func (c *Connector) release(ctx context.Context, target string) error {
	if !c.leave(target) {
		return nil
	}
	defer c.left(target)

	sessions, err := c.initiator.Sessions()
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, s := range sessions {
		if s.Portal.Target == target {
			g.Go(func() error { return c.logout(gctx, s) })
		}
	}
	if err := g.Wait(); errors.Is(err, errCarriesDisk) {
		return nil
	} else if err != nil {
		return err
	}
	return c.initiator.RemoveRecords(ctx, target)
}

var errCarriesDisk = errors.New("the session carries a disk")

// logout ends a session that carries no disk.
func (c *Connector) logout(ctx context.Context, s openiscsi.Session) error {
	disks, err := c.devices.SessionDisks(s.ID)
	if err != nil {
		return err
	}
	if len(disks) > 0 {
		c.log.WarnContext(ctx, "session stays: it carries a disk that no volume accounts for",
			"path", s.Portal.String(), "disk", disks[0].Name)
		return errCarriesDisk
	}
	if err := c.initiator.Logout(ctx, s); err != nil {
		return err
	}
	c.log.InfoContext(ctx, "logged out", "path", s.Portal.String(), "target", s.Portal.Target,
		"session", s.ID, "proof", "ours by its iface, no disk, no volume needs the target")
	return nil
}

// leave marks target as being left and ends logins to it that still run; false
// when a volume needs it, or somebody else is at it.
func (c *Connector) leave(target string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving[target] {
		return false
	}
	for _, v := range c.volumes {
		if v.target == target {
			return false
		}
	}
	for p, l := range c.logins {
		if p.Target != target {
			continue
		}
		if l.cancel != nil {
			l.cancel()
		}
		delete(c.logins, p)
	}
	c.leaving[target] = true
	return true
}

func (c *Connector) left(target string) {
	c.mu.Lock()
	delete(c.leaving, target)
	c.mu.Unlock()
	c.wake.Send()
}

// Sweep logs out from targets that no volume needs: what a crash between login
// and scan, or a login that ended after its volume was gone, has left.
func (c *Connector) Sweep(ctx context.Context) error {
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return err
	}
	for _, s := range sessions {
		disks, err := c.devices.SessionDisks(s.ID)
		if err != nil {
			return err
		}
		if len(disks) > 0 {
			continue
		}
		if err := c.release(ctx, s.Portal.Target); err != nil {
			return err
		}
	}
	return nil
}
