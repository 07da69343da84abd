// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/resolve"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/spclient"
	"github.com/mallee-io/mallee/internal/sc"
	"github.com/mallee-io/mallee/internal/telemetry"
)

func newSCCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sc",
		Short: "Run the storage controller of a partition",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, o, rpc.SC, func(ctx context.Context, c *config.Config, log *slog.Logger) error {
				return runSC(ctx, c, o.configPath, log)
			})
		},
	}
	cmd.AddCommand(newJoinCommand(o, rpc.SC))
	return cmd
}

// runSC runs a storage controller. The file that c was read from is path: its labels
// are read again when they change.
func runSC(ctx context.Context, c *config.Config, path string, log *slog.Logger) error {
	if err := c.SC.Check(); err != nil {
		return err
	}
	p, err := openPart(rpc.SC, c.SC.Certs, c.SC.CLC)
	if err != nil {
		return err
	}
	if err := p.of(c.SC.Partition); err != nil {
		return err
	}
	registry := telemetry.NewRegistry()
	registry.MustRegister(p.bundle.Metric())
	resolver := resolve.New(resolve.Options{Eucalyptus: c.Storage.EucalyptusConf, Malleed: path, Log: log})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return telemetry.ServeMetrics(ctx, c.SC.MetricsListen, registry) })
	g.Go(func() error { return p.renew(ctx, log) })
	g.Go(func() error { return resolver.Run(ctx) })
	g.Go(func() error {
		return sc.Run(ctx, sc.Options{
			Partition: c.SC.Partition,
			CLC:       p.clc,
			Dial:      p.dial(rpc.CLC),
			Open: func(hosts []mallee.Endpoint, login func() san.Login) (sc.SAN, error) {
				return spclient.New(spclient.Options{Hosts: hosts, Dial: p.dialSP, Login: login, Log: log})
			},
			Resolver: resolver,
			Log:      log,
			Registry: registry,
		})
	})
	return g.Wait()
}
