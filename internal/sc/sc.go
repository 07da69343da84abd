// SPDX-License-Identifier: Apache-2.0

// Package sc is the storage controller of a partition: it brings the SAN to
// what the cloud controller (CLC) wants and reports what the SAN holds.
//
// A wish is a volume or an export that the CLC names, as wanted or as unwanted.
// An inventory is what the SAN holds at one moment. A step compares the two,
// starts an operation for each wish that is not fulfilled and reports; the end
// of an operation is the reason for the next step. Nothing is kept over a
// restart: the inventory is the only truth. What no wish names is left alone,
// so that an empty or an old state destroys nothing. A volume with such an export
// is neither exported to another node nor removed: it may be in use there.
//
// Beside that, a view tells how this machine sees the paths of scpaths, over which
// it will read snapshots; nothing uses them yet.
package sc

import (
	"context"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/site"
)

// SAN is an open connection to a SAN.
type SAN interface {
	san.SAN
	io.Closer
}

// Options of a storage controller. All are required.
type Options struct {
	Partition string
	CLC       []string // "host:port" of each cloud controller
	Dial      func(addr string) (*grpc.ClientConn, error)
	// Open connects to the SAN with these admin hosts, in the admin's order, without
	// waiting for it. Each call proves itself with what login returns at that time.
	Open     func(hosts []mallee.Endpoint, login func() san.Login) (SAN, error)
	Resolver site.Resolver // of this machine's labels and names; run by the caller
	Log      *slog.Logger
	Registry *prometheus.Registry
}

// Run works until ctx ends and then returns nil. Operations under way are left
// to the SAN and looked at again after the next start. While no CLC can be
// reached it starts none: a successor may be at work.
func Run(ctx context.Context, o Options) error {
	states := make(chan wishes, 1)
	rep := newReporter(o.Partition)
	v := newView(o.Resolver, o.Log)
	a := newAgent(o, states, rep, v)
	r := newReconciler(o, states, rep.set, v)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer v.site.Wait()
		return a.Run(ctx)
	})
	g.Go(func() error { return v.site.Run(ctx) })
	g.Go(func() error { return r.run(ctx) })
	return g.Wait()
}
