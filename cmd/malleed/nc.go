// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/host"
	"github.com/mallee-io/mallee/internal/nc"
	"github.com/mallee-io/mallee/internal/resolve"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/telemetry"
)

func newNCCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nc",
		Short: "Run a node controller: volumes as multipath devices on this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, o, rpc.NC, func(ctx context.Context, c *config.Config, log *slog.Logger) error {
				return runNC(ctx, c, o.configPath, log)
			})
		},
	}
	cmd.AddCommand(newJoinCommand(o, rpc.NC))
	return cmd
}

// runNC runs a node controller. The file that c was read from is path: its labels
// are read again when they change.
func runNC(ctx context.Context, c *config.Config, path string, log *slog.Logger) error {
	if err := c.NC.Check(); err != nil {
		return err
	}
	p, err := openPart(rpc.NC, c.NC.Certs, c.NC.CLC)
	if err != nil {
		return err
	}
	if err := p.of(c.NC.Partition); err != nil {
		return err
	}
	registry := telemetry.NewRegistry()
	registry.MustRegister(p.bundle.Metric())
	resolver := resolve.New(resolve.Options{Eucalyptus: c.Storage.EucalyptusConf, Malleed: path, Log: log})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return telemetry.ServeMetrics(ctx, c.NC.MetricsListen, registry) })
	g.Go(func() error { return p.renew(ctx, log) })
	g.Go(func() error { return resolver.Run(ctx) })
	g.Go(func() error {
		return nc.Run(ctx, nc.Options{
			Partition: c.NC.Partition,
			CLC:       p.clc,
			Dial:      p.dial(rpc.CLC),
			Connector: connector.New(connector.Options{Log: log}),
			Resolver:  resolver,
			Host:      &host.Host{Run: command.Runner{Log: log}, Log: log},
			Log:       log,
			Registry:  registry,
		})
	})
	return g.Wait()
}
