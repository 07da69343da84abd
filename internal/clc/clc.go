// SPDX-License-Identifier: Apache-2.0

// Package clc is the cloud controller: it holds what should be and tells the
// agents, a storage controller (SC) for each partition and a node controller
// (NC) on each node.
//
// A wish is what an API call asks for, kept as a record: that a volume be there or
// be gone, that it be attached or not. A report is what an agent finds. A
// transition is what a wish or a report does to the records, always in one
// transaction, so that a controller that is killed goes on where it was. A view is
// all records as of one moment. A site is a machine as paths see it; of those that
// are connected it is known what they last told. What an agent is sent is computed
// from a view and, where paths are concerned, from what the sites tell. An
// attachment is released when its node has let go of the volume; only then is its
// export taken away. A member is a part that has joined; every call of an agent is
// held against its record.
package clc

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// Controller answers the API's calls and serves the agents. It is safe for
// concurrent use.
type Controller struct {
	cloudv1.UnimplementedCloudServer

	store     *store.Store
	parts     PartOptions
	log       *slog.Logger
	strangers *slog.Logger // for lines that anybody can cause
	feed      *feed
	presence  *presence
	paths     *pathTable
	sites     *sites
	retirees  *retirees
	checking  chan struct{} // holds a token for each path check that is under way
	probing   chan struct{} // holds a token while machines are asked to probe
	followed  chan struct{} // closed when follow has ended
	restore   chan struct{} // gets a token when a backup is to be restored
}

// PartOptions says how machines become parts of the cloud. All are required.
type PartOptions struct {
	CA       *ca.CA
	Lifetime time.Duration // of their certificates
	// Addresses, "host:port", is where they reach this controller.
	Addresses []string
}

// New returns a controller of the records in s. It follows them until ctx ends;
// Wait before s is closed.
func New(ctx context.Context, s *store.Store, parts PartOptions, log *slog.Logger) (*Controller, error) {
	first, err := readView(ctx, s)
	if err != nil {
		return nil, err
	}
	c := &Controller{
		store: s, parts: parts, log: log, strangers: telemetry.Sparse(log), feed: newFeed(first), presence: newPresence(), paths: newPathTable(), sites: newSites(log), retirees: newRetirees(log),
		checking: make(chan struct{}, maxChecks), probing: make(chan struct{}, 1), followed: make(chan struct{}),
		restore: make(chan struct{}, 1),
	}
	go c.follow(ctx)
	go c.sites.run(ctx, c.feed)
	return c, nil
}

// Wait returns when the controller no longer follows the records, which is soon
// after the context that New was given has ended.
func (c *Controller) Wait() { <-c.followed }

// follow reads a new view whenever the records change.
func (c *Controller) follow(ctx context.Context) {
	defer close(c.followed)
	for range c.store.Watch(ctx) {
		v, err := readView(ctx, c.store)
		for err != nil && ctx.Err() == nil {
			// The agents keep the last state that they were sent.
			c.log.ErrorContext(ctx, "cannot read the records", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			v, err = readView(ctx, c.store)
		}
		if err != nil {
			return
		}
		c.paths.keep(v.attachments)
		c.feed.publish(v)
	}
}

// refuse returns the error with which a call is refused.
func refuse(op string, kind mallee.Kind, id, format string, args ...any) error {
	return &mallee.Error{Op: op, Kind: kind, ID: id, Err: fmt.Errorf(format, args...)}
}
