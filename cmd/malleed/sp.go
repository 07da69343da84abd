// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/sp"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// bindInterval is how often an admin address is tried that this machine does not
// have yet. Storage controllers fail over to the others meanwhile.
const bindInterval = 2 * time.Second

// stopTimeout bounds the wait for calls at work when the process shall end.
const stopTimeout = 10 * time.Second

func newSPCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sp",
		Short: "Run a storage processor: volumes of this machine's volume group, exported over iSCSI",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd, o, rpc.SP, runSP) },
	}
	cmd.AddCommand(newJoinCommand(o, rpc.SP))
	return cmd
}

// runSP serves until ctx ends, and leaves everything exported when it returns.
func runSP(ctx context.Context, c *config.Config, log *slog.Logger) error {
	if err := c.SP.Check(); err != nil {
		return err
	}
	admin, err := mallee.ParseAddrs(strings.Join(c.SP.AdminAddresses, ","), config.SPAdminPort)
	if err != nil {
		return fmt.Errorf("sp.admin_addresses: %w", err)
	}
	portals, err := mallee.ParseAddrs(strings.Join(c.SP.DataAddresses, ","), mallee.ISCSIPort)
	if err != nil {
		return fmt.Errorf("sp.data_addresses: %w", err)
	}
	p, err := openPart(rpc.SP, c.SP.Certs, c.SP.CLC)
	if err != nil {
		return err
	}
	login, err := sp.NewLogin(c.SP.SANUser, c.SP.SANPasswordFile)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.SP.StateDir, 0o700); err != nil {
		return err
	}
	if err := sp.PrepareHost(ctx, command.Runner{Log: log}, c.SP.VolumeGroup); err != nil {
		return err
	}
	registry := telemetry.NewRegistry()
	registry.MustRegister(p.bundle.Metric())
	processor, err := sp.New(ctx, sp.Options{
		Name: c.SP.Name, VolumeGroup: c.SP.VolumeGroup, Pool: c.SP.Pool, DataPortals: portals,
		StateDir: c.SP.StateDir, Log: log, Registry: registry,
		Overcommit: c.SP.Overcommit, DataAlarm: c.SP.DataAlarm, MetadataAlarm: c.SP.MetadataAlarm,
	})
	if err != nil {
		return err
	}
	server := rpc.NewServer(p.bundle, log, p.admit(login))
	spv1.RegisterStorageProcessorServer(server, processor)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return telemetry.ServeMetrics(ctx, c.SP.MetricsListen, registry) })
	g.Go(func() error { return processor.Watch(ctx) })
	g.Go(func() error { return p.renew(ctx, log) })
	for _, addr := range admin {
		g.Go(func() error { return serveAdmin(ctx, server, addr, log) })
	}
	g.Go(func() error {
		<-ctx.Done()
		stopAdmin(server, stopTimeout)
		return ctx.Err()
	})
	return g.Wait()
}

// admit returns what lets in storage controllers that know login as well.
func (p part) admit(login sp.Login) rpc.Admit {
	return func(ctx context.Context, caller rpc.Identity, first bool) error {
		if err := p.admitSC(ctx, caller, first); err != nil {
			return err
		}
		return login.Admit(ctx)
	}
}

// admitSC is rpc.Admit: it lets in storage controllers of the partition that this
// storage processor has joined, so that sanhost set to the SAN of another
// partition is found out before anything is made there.
func (p part) admitSC(ctx context.Context, caller rpc.Identity, first bool) error {
	if err := rpc.Only(rpc.SC)(ctx, caller, first); err != nil {
		return err
	}
	if own := p.bundle.Identity(); caller.Partition != own.Partition {
		return &mallee.Error{
			Op: "answer", Kind: mallee.Denied, ID: caller.Name, Hint: "set sanhost to the SAN of the partition",
			Err: errors.New(rpc.OtherPartition(own, caller)),
		}
	}
	return nil
}

// serveAdmin serves on addr until server is stopped, and waits for an address
// that is not there yet: a NIC that is late at boot must not keep the others,
// and what they export, away.
func serveAdmin(ctx context.Context, server *grpc.Server, addr netip.AddrPort, log *slog.Logger) error {
	ticker := time.NewTicker(bindInterval)
	defer ticker.Stop()
	for told := ""; ; {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr.String())
		if err == nil {
			log.InfoContext(ctx, "admin interface serves", "address", addr)
			err = server.Serve(listener)
			if ctx.Err() != nil || errors.Is(err, grpc.ErrServerStopped) {
				return nil
			}
			return fmt.Errorf("cannot serve on %s: %w", addr, err)
		}
		if told != err.Error() {
			told = err.Error()
			log.WarnContext(ctx, "admin address cannot be bound yet", "address", addr, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// stopAdmin lets the calls at work end, for as long as timeout: one that waits for
// the commands in flight of a dead initiator would wait long. It is asked again.
// GracefulStop itself would go on waiting for such a call even after Stop.
func stopAdmin(server *grpc.Server, timeout time.Duration) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.GracefulStop()
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		server.Stop()
	}
}
