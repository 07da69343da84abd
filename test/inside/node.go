// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/host"
	"github.com/mallee-io/mallee/test/hands"
)

// noPath is malleed's default for how long I/O waits without a path.
const noPath = 2 * time.Minute

// node is a machine's connector, as malleed nc has one.
type node struct {
	connector *connector.Connector
	recorder  *recorder
}

func runNode(ctx context.Context, serve func(hands.Operations) error) error {
	n := &node{recorder: &recorder{Handler: slog.NewTextHandler(os.Stderr, nil)}}
	log := slog.New(n.recorder)
	h := host.Host{Run: command.Runner{Log: log}, Log: log}
	if err := h.Prepare(ctx, noPath); err != nil {
		return err
	}
	n.connector = connector.New(connector.Options{Log: log})
	ctx, cancel := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.connector.Run(ctx) })
	g.Go(func() error {
		defer cancel()
		return serve(hands.Operations{
			hands.OpAttach: hands.Op(n.attach),
			hands.OpRepair: hands.Op(n.repair),
			hands.OpDetach: hands.Op(n.detach),
			hands.OpKeep:   hands.Op(n.keep),
			hands.OpRead:   hands.Op(read),

			hands.OpFloorPrepare: hands.Op(floorPrepare),
			hands.OpFloorAttach:  hands.Op(floorAttach),
			hands.OpFloorDetach:  hands.Op(floorDetach),
		})
	})
	return g.Wait()
}

// attach attaches volumes at once and completes them, each as soon as it is ready.
func (n *node) attach(ctx context.Context, a hands.Attach) (hands.Attached, error) {
	r := hands.Attached{Status: make([]connector.Status, len(a.Volumes))}
	var mu sync.Mutex
	begin := n.recorder.mark()
	g, ctx := errgroup.WithContext(ctx)
	for i, v := range a.Volumes {
		g.Go(func() error {
			status, err := n.connector.Attach(ctx, v.Connector())
			took := time.Since(begin.at)
			mu.Lock()
			r.Ready = max(r.Ready, took)
			r.Status[i] = status
			mu.Unlock()
			if err != nil || !a.Complete {
				return err
			}
			status, err = n.complete(ctx, v.Connector(), status)
			took = time.Since(begin.at)
			mu.Lock()
			defer mu.Unlock()
			r.Complete = max(r.Complete, took)
			r.Status[i] = status
			return err
		})
	}
	err := g.Wait()
	r.Started, r.Events = n.recorder.since(begin)
	return r, err
}

// complete repairs v until all its paths are up, as the node controller does.
func (n *node) complete(ctx context.Context, v connector.Volume, status connector.Status) (connector.Status, error) {
	for status.Up() < len(v.Portals) {
		changed := n.connector.Changed(v.WWID)
		var err error
		if status, err = n.connector.Repair(ctx, v); err != nil {
			return status, err
		}
		if status.Up() == len(v.Portals) {
			break
		}
		select {
		case <-ctx.Done():
			return status, ctx.Err()
		case <-changed:
		case <-time.After(time.Second):
		}
	}
	return status, nil
}

func (n *node) repair(ctx context.Context, v hands.Volume) (connector.Status, error) {
	return n.connector.Repair(ctx, v.Connector())
}

// detach detaches volumes at once. What becomes of one does not end the others.
func (n *node) detach(ctx context.Context, volumes []hands.Volume) (hands.Detached, error) {
	r := hands.Detached{Errors: make([]string, len(volumes))}
	errs := make([]error, len(volumes))
	begin := n.recorder.mark()
	var all sync.WaitGroup
	for i, v := range volumes {
		all.Go(func() {
			if errs[i] = n.connector.Detach(ctx, v.Connector()); errs[i] != nil {
				r.Errors[i] = errs[i].Error()
			}
		})
	}
	all.Wait()
	r.Took = time.Since(begin.at)
	r.Started, r.Events = n.recorder.since(begin)
	return r, errors.Join(errs...)
}
