// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// patience bounds waits that end as soon as what they wait for is there.
const patience = 20 * time.Second

// cluster is a controller with a real store that agents reach over mTLS. It can
// be killed and started again on the same state.
type cluster struct {
	*Controller
	t         *testing.T
	dir       string
	authority *ca.CA
	addr      string
	kill      func()
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "clc") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	authority, err := ca.OpenOrCreate(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: dir, authority: authority}
	c.start()
	t.Cleanup(func() { c.kill() })
	return c
}

func (c *cluster) start() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(ctx, store.Options{Dir: filepath.Join(c.dir, "etcd"), Log: log, UnsafeNoFsync: true})
	if err != nil {
		c.t.Fatal(err)
	}
	if c.Controller, err = New(ctx, s, log); err != nil {
		c.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.addr = listener.Addr().String()
	server := rpc.NewServer(c.bundle(rpc.CLC, "clc"), log, rpc.SC, rpc.NC)
	cloudv1.RegisterCloudServer(server, c.Controller)
	go server.Serve(listener)
	controller := c.Controller
	c.kill = func() {
		server.Stop()
		cancel()
		controller.Wait()
		s.Close()
	}
}

func (c *cluster) restart() {
	c.t.Helper()
	c.kill()
	c.start()
}

func (c *cluster) bundle(role rpc.Role, name string) *rpc.Bundle {
	c.t.Helper()
	cert, key, root, err := c.authority.Issue(ca.IssueOptions{Role: role, Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := rpc.ParseBundle(root, cert, key)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *cluster) dial(role rpc.Role, name string) cloudv1.CloudClient {
	c.t.Helper()
	conn, err := rpc.Dial(c.addr, c.bundle(role, name), rpc.CLC)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return cloudv1.NewCloudClient(conn)
}

// volume returns a volume as the API shows it, or nil.
func (c *cluster) volume(id mallee.VolumeID) *mallee.Volume {
	c.t.Helper()
	all, err := c.Volumes(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// attachment returns a volume's attachment as the API shows it, or nil.
func (c *cluster) attachment(id mallee.VolumeID) *mallee.Attachment {
	if v := c.volume(id); v != nil {
		return v.Attachment
	}
	return nil
}

// states are what a stream has delivered.
type states[M any] struct {
	t      *testing.T
	ch     <-chan M
	err    <-chan error
	cancel context.CancelFunc
}

func watch[M any](t *testing.T, open func(context.Context) (grpc.ServerStreamingClient[M], error)) states[*M] {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ch, failed := make(chan *M, 100), make(chan error, 1)
	go func() {
		stream, err := open(ctx)
		for err == nil {
			var m *M
			if m, err = stream.Recv(); err == nil {
				ch <- m
			}
		}
		failed <- err
	}()
	return states[*M]{t, ch, failed, cancel}
}

// until returns the first state that ok accepts.
func (s states[M]) until(what string, ok func(M) bool) M {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-s.ch:
			if ok(m) {
				return m
			}
		case err := <-s.err:
			s.t.Fatalf("the stream ended before it told %s: %v", what, err)
		case <-deadline:
			s.t.Fatalf("the stream never told %s", what)
		}
	}
}

// failure returns the error that ends the stream.
func (s states[M]) failure() error {
	s.t.Helper()
	select {
	case err := <-s.err:
		return err
	case <-time.After(patience):
		s.t.Fatal("the stream did not end")
		return nil
	}
}
