// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee/internal/clc"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

func newCLCCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "clc",
		Short: "Run the cloud controller",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd, o, rpc.CLC, runCLC) },
	}
}

func runCLC(ctx context.Context, c *config.Config, log *slog.Logger) error {
	if err := c.CLC.Check(); err != nil {
		return err
	}
	return clc.Run(ctx, clc.Options{
		StateDir: c.CLC.StateDir, Listen: c.CLC.Listen, AgentListen: c.CLC.AgentListen, Names: c.CLC.Names,
		Etcd:    store.External{Endpoints: c.CLC.EtcdEndpoints, CAFile: c.CLC.EtcdCA, CertFile: c.CLC.EtcdCert, KeyFile: c.CLC.EtcdKey},
		APIRate: c.CLC.APIRate, APIBurst: c.CLC.APIBurst, CertificateLifetime: c.CLC.CertificateLifetime, Log: log,
	})
}
