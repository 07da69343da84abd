// SPDX-License-Identifier: Apache-2.0

// Package nc is the node controller: it brings the volumes that the cloud wants
// on this node up as multipath devices, keeps their paths complete, takes them
// down again, and reports what is.
//
// The cloud's wish comes as a stream of whole states. Each attachment has one
// goroutine, its keeper, that compares the wish with the machine and takes a
// step; the keepers' findings are reported whole. A keeper's plan is what its wish
// means on this machine now: labels, names and the SAN's portals turned into
// portals to log in to. When a plan changes, paths are added and drained under the
// volume's I/O; the node has settled when every keeper is through with that. While the cloud cannot be
// reached the keepers go on with the last wish: an outage of the cloud
// controller stops no I/O and no repair.
package nc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/host"
	"github.com/mallee-io/mallee/internal/site"
)

// Connector brings volumes up and takes them down. A *connector.Connector does.
type Connector interface {
	Run(context.Context) error
	Initiator() (string, error)
	Changed(wwid string) <-chan struct{}
	Repair(context.Context, connector.Volume) (connector.Status, error)
	Detach(context.Context, connector.Volume) error
	Sweep(context.Context) error
	// LoggedIn reports whether a session of ours over just this device, or
	// routing's choice when it is empty, is logged in to the portal.
	LoggedIn(netDevice string, portal netip.AddrPort) bool
}

// Options of a node controller. All but Registry are required.
type Options struct {
	Partition string
	CLC       []string // "host:port" of each cloud controller
	Dial      func(addr string) (*grpc.ClientConn, error)
	Connector Connector
	Resolver  site.Resolver // run by the caller
	Host      *host.Host
	Log       *slog.Logger
	Registry  *prometheus.Registry
}

// defaultNoPathTimeout holds until the cloud has told the partition's.
const defaultNoPathTimeout = 120 * time.Second

// sweepInterval is how often sessions that nothing needs are looked for.
const sweepInterval = 15 * time.Second

// Run works until ctx ends. It leaves volumes attached: a node controller that
// is stopped or replaced is no reason for a guest to lose its disk.
func Run(ctx context.Context, o Options) error {
	initiator, err := o.Connector.Initiator()
	if err != nil {
		return err
	}
	if !mallee.IQN(initiator).Valid() {
		return fmt.Errorf("the initiator name %q in /etc/iscsi/initiatorname.iscsi is not of the form iqn.YYYY-MM.DOMAIN:NAME in lower case", initiator)
	}
	if err := o.Host.Prepare(ctx, defaultNoPathTimeout); err != nil {
		return fmt.Errorf("cannot prepare this node: %w", err)
	}
	r := newReporter(o.Log)
	k := newKeepers(o, r, newMetrics(o.Registry))
	s := site.New(site.Options{Resolver: o.Resolver, LoggedIn: o.Connector.LoggedIn, Found: r.setSite, Log: o.Log})
	f := newFollower(o, initiator, k, s, r)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return o.Connector.Run(ctx) })
	g.Go(func() error { return f.run(ctx) })
	g.Go(func() error { return k.run(ctx) })
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { return sweep(ctx, o) })
	return g.Wait()
}

// sweep logs out from what nothing needs, now and then.
func sweep(ctx context.Context, o Options) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(sweepInterval):
		}
		if err := o.Connector.Sweep(ctx); err != nil && !errors.Is(err, context.Canceled) {
			o.Log.WarnContext(ctx, "cannot log out from what nothing needs", "error", err)
		}
	}
}
