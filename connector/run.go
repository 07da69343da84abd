// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee/internal/block"
)

// How often the states of the sessions are read: the kernel makes no event when a
// session has logged in, is lost, or is back (drivers/scsi/scsi_transport_iscsi.c).
const (
	whileLoggingIn = 20 * time.Millisecond
	whileWaiting   = 200 * time.Millisecond // for a portal that may be dead, and after loginTakes
	whileLoggedIn  = time.Second

	loginTakes = 3 * time.Second
)

// Run watches the kernel until ctx ends. While it does not run, calls that wait
// look again every second only.
func (c *Connector) Run(ctx context.Context) error {
	if err := c.records.PrepareIface(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.watchEvents(ctx) })
	g.Go(func() error { return c.watchSessions(ctx) })
	g.Go(func() error { return c.patrol(ctx) })
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (c *Connector) watchEvents(ctx context.Context) error {
	defer c.looks.listen(false)
	burst := burst{send: c.wakeAll}
	return c.uevents(ctx, func() {
		c.looks.listen(true)
		c.wakeAll()
	}, func(e block.Uevent) {
		switch e.Subsystem {
		case "block", "scsi", "iscsi_session", "iscsi_connection", "net", "":
			c.looks.changed()
			if e.Doubt || e.Lost {
				c.doubt(e.Session)
			}
			c.event.Send()
			burst.Event()
		}
	})
}

// watchSessions wakes everybody when a session's state has changed.
func (c *Connector) watchSessions(ctx context.Context) error {
	var before map[int]string
	var since time.Time // the latest login began
	for {
		if now, err := c.initiator.States(); err == nil && !maps.Equal(before, now) {
			before = now
			c.changed()
		}
		started, pause := c.started.Wait(), whileLoggedIn
		switch {
		case !c.loggingInAnywhere():
		case time.Since(since) < loginTakes:
			pause = whileLoggingIn
		default:
			pause = whileWaiting
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-started:
			since = time.Now()
		case <-time.After(pause):
		}
	}
}

// doubt has the disks of a session, or of all for 0, prove their identity again at
// once: the target has said that what is behind its LUNs has changed, or may have.
func (c *Connector) doubt(session int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, state := range c.volumes {
		state.probes.doubt(session)
	}
}
