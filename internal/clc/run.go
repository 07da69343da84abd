// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// Options says how a cloud controller runs.
type Options struct {
	StateDir    string   // etcd's data in etcd/, the CA in ca/, and admin.env
	Listen      string   // "address:port" for HTTPS
	AgentListen string   // "address:port" for the agents' gRPC
	Names       []string // host names and addresses for the HTTPS certificate; at least one
	APIRate     float64  // calls a second of one access key; 0 means any number
	APIBurst    int      // calls that it may make at once after a pause
	// Etcd is an external cluster; without endpoints etcd runs in this process.
	Etcd store.External
	// CertificateLifetime is for how long the certificates of all parts are good;
	// 0 means ca.DefaultValidity.
	CertificateLifetime time.Duration
	Log                 *slog.Logger
	// UnsafeNoFsync lets a power failure lose records. It is for tests.
	UnsafeNoFsync bool
}

// Run runs a cloud controller until ctx ends, and then returns nil, or until it
// cannot go on. It begins anew when the records are replaced by those of a backup,
// and when another controller may have taken over: then it stands by.
func Run(ctx context.Context, o Options) error {
	for {
		err := run(ctx, o)
		switch {
		case errors.Is(err, errRestore):
			o.Log.InfoContext(ctx, "cloud controller starts anew to restore a backup")
		case errors.Is(err, store.ErrLeaseLost):
			o.Log.ErrorContext(ctx, "cloud controller no longer serves", "error", err)
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return nil // stopped while it stood by
		default:
			return err
		}
	}
}

func run(ctx context.Context, o Options) (err error) {
	pending, err := pendingRestore(o.StateDir)
	if err != nil {
		return err
	}
	if pending != nil {
		if err := pending.finish(ctx, o); err != nil {
			return err
		}
	}
	authority, err := ca.OpenOrCreate(filepath.Join(o.StateDir, "ca"))
	if err != nil {
		return err
	}
	own := ca.IssueOptions{Role: rpc.CLC, Name: "clc", Hosts: o.Names, Validity: o.CertificateLifetime}
	bundle, err := ownBundle(authority, own)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, o.store())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := claim(ctx, s, authority); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	var lc net.ListenConfig
	apiListener, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("cannot serve the API: %w", err)
	}
	defer apiListener.Close()
	agentListener, err := lc.Listen(ctx, "tcp", o.AgentListen)
	if err != nil {
		return fmt.Errorf("cannot serve the agents: %w", err)
	}
	defer agentListener.Close()
	c, err := New(ctx, s, PartOptions{
		CA: authority, Lifetime: o.CertificateLifetime, Addresses: addresses(o.Names, agentListener.Addr()),
	}, o.Log)
	if err != nil {
		return err
	}
	defer func() { // before the store closes
		cancel()
		c.Wait()
	}()
	if err := c.ensureAdmin(ctx, o.StateDir, endpoint(o.Names[0], apiListener.Addr())); err != nil {
		return err
	}
	g.Go(func() error { return c.serveAgents(ctx, agentListener, bundle) })
	g.Go(func() error { return c.serveAPI(ctx, apiListener, bundle, o) })
	g.Go(func() error { return renewOwn(ctx, authority, own, bundle, o.Log) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.Failed():
			return fmt.Errorf("the store has stopped: %w", err)
		case <-c.restore:
			return errRestore
		}
	})
	o.Log.InfoContext(ctx, "cloud controller is up", "listen", apiListener.Addr().String(), "agent_listen", agentListener.Addr().String())
	return g.Wait()
}

func (o Options) store() store.Options {
	return store.Options{
		Dir: filepath.Join(o.StateDir, "etcd"), External: o.Etcd, Name: o.Names[0], Log: o.Log, UnsafeNoFsync: o.UnsafeNoFsync,
	}
}

// ownBundle issues the controller's certificate anew at each start, so that it
// is good for the names that are configured and has no file to expire in.
func ownBundle(authority *ca.CA, o ca.IssueOptions) (*rpc.Bundle, error) {
	cert, key, root, err := authority.Issue(o)
	if err != nil {
		return nil, err
	}
	return rpc.ParseBundle(root, cert, key)
}

// renewOwn keeps the controller's own certificate from ending, until ctx does.
func renewOwn(ctx context.Context, authority *ca.CA, o ca.IssueOptions, b *rpc.Bundle, log *slog.Logger) error {
	for join.Wait(ctx, b, time.Second) {
		next, err := ownBundle(authority, o)
		if err != nil {
			return err
		}
		b.Take(next)
		log.InfoContext(ctx, "certificate renewed", "ends", b.Ends(), "serial", b.Identity().Serial)
	}
	return nil
}

// addresses returns where agents reach the listener.
func addresses(names []string, listener net.Addr) []string {
	_, port, err := net.SplitHostPort(listener.String())
	if err != nil {
		port = "8774"
	}
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = net.JoinHostPort(name, port)
	}
	return list
}

func (c *Controller) serveAgents(ctx context.Context, l net.Listener, b *rpc.Bundle) error {
	server := rpc.NewServer(b, c.log, c.admitPart)
	cloudv1.RegisterCloudServer(server, c)
	// The agents' streams never end by themselves, so there is no waiting for
	// them. They connect again and lose nothing.
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if err := server.Serve(l); err != nil {
		return fmt.Errorf("cannot serve the agents: %w", err)
	}
	return nil
}
