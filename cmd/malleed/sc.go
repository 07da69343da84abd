// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/san/spclient"
	"github.com/mallee-io/mallee/internal/sc"
	"github.com/mallee-io/mallee/internal/telemetry"
)

func newSCCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "sc",
		Short: "Run the storage controller of a partition",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd, o, rpc.SC, runSC) },
	}
}

func runSC(ctx context.Context, c *config.Config, log *slog.Logger) error {
	if err := c.SC.Check(); err != nil {
		return err
	}
	bundle, err := rpc.LoadBundle(c.SC.Certs)
	if err != nil {
		return err
	}
	dial := func(role rpc.Role) func(addr string) (*grpc.ClientConn, error) {
		return func(addr string) (*grpc.ClientConn, error) { return rpc.Dial(addr, bundle, role) }
	}
	registry := telemetry.NewRegistry()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return telemetry.ServeMetrics(ctx, c.SC.MetricsListen, registry) })
	g.Go(func() error {
		return sc.Run(ctx, sc.Options{
			Partition: c.SC.Partition,
			CLC:       c.SC.CLC,
			Dial:      dial(rpc.CLC),
			Open: func(hosts []netip.AddrPort) (sc.SAN, error) {
				return spclient.New(spclient.Options{Addresses: hosts, Dial: dial(rpc.SP), Log: log})
			},
			Log:      log,
			Registry: registry,
		})
	})
	return g.Wait()
}
