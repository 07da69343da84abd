// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/join"
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
	lifetime  time.Duration // of certificates
	full      atomic.Bool   // the store's disk is
	log       *logged
	addr      string                 // for agents
	own       *rpc.Bundle            // the controller's
	api       string                 // URL for people, and for machines that join
	bundles   map[string]*rpc.Bundle // of the parts that have joined
	loses     atomic.Bool            // the next answer of the API gets lost
	kill      func()
}

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newCluster(t *testing.T) *cluster { return newClusterOf(t, ca.DefaultValidity) }

// newClusterOf makes a cluster whose certificates are good for lifetime.
func newClusterOf(t *testing.T, lifetime time.Duration) *cluster {
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
	c := &cluster{t: t, dir: dir, authority: authority, lifetime: lifetime, log: &logged{}, bundles: map[string]*rpc.Bundle{}}
	c.start()
	t.Cleanup(func() { c.kill() })
	return c
}

// statfs tells of a disk that is full or has a gigabyte free.
func (c *cluster) statfs(_ string, into *unix.Statfs_t) error {
	*into = unix.Statfs_t{Bsize: 4096, Bavail: 1 << 18}
	if c.full.Load() {
		into.Bavail = 0
	}
	return nil
}

func (c *cluster) start() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewJSONHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := store.Open(ctx, store.Options{Dir: filepath.Join(c.dir, "etcd"), Log: slog.New(slog.DiscardHandler), Statfs: c.statfs, UnsafeNoFsync: true})
	if err != nil {
		c.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.addr = listener.Addr().String()
	if c.Controller, err = New(ctx, s, PartOptions{CA: c.authority, Lifetime: c.lifetime, Addresses: []string{c.addr}}, log); err != nil {
		c.t.Fatal(err)
	}
	if c.own, err = ownBundle(c.authority, ca.IssueOptions{Role: rpc.CLC, Name: "clc", Hosts: []string{"127.0.0.1"}}); err != nil {
		c.t.Fatal(err)
	}
	handler := c.handler(prometheus.NewRegistry(), Options{})
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.loses.CompareAndSwap(true, false) {
			handler.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	api.TLS = &tls.Config{Certificates: []tls.Certificate{*c.own.Certificate()}}
	api.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	api.StartTLS()
	c.api = api.URL
	server := rpc.NewServer(c.own, log, c.admitPart)
	cloudv1.RegisterCloudServer(server, c.Controller)
	go server.Serve(listener)
	controller := c.Controller
	c.kill = func() {
		api.Close()
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

// token returns a join token.
func (c *cluster) token(spec mallee.JoinTokenSpec) join.Token {
	c.t.Helper()
	made, err := c.CreateJoinToken(c.t.Context(), spec)
	if err != nil {
		c.t.Fatal(err)
	}
	token, err := join.ParseToken(made.Token)
	if err != nil {
		c.t.Fatal(err)
	}
	return token
}

// bundle has a part join, unless it has done so before, and returns its bundle.
func (c *cluster) bundle(role rpc.Role, name, partition string) *rpc.Bundle {
	c.t.Helper()
	key := memberID(role, name)
	if b := c.bundles[key]; b != nil {
		return b
	}
	b, err := c.join(c.t.TempDir(), c.token(mallee.JoinTokenSpec{Role: role, Name: name, Partition: partition}), initiator(name))
	if err != nil {
		c.t.Fatal(err)
	}
	c.bundles[key] = b
	return b
}

func (c *cluster) join(dir string, token join.Token, initiator string) (*rpc.Bundle, error) {
	if err := join.Join(c.t.Context(), join.Options{URL: c.api, Token: token, Dir: dir, Initiator: mallee.IQN(initiator)}); err != nil {
		return nil, err
	}
	return rpc.LoadBundle(dir)
}

// dial connects as a part, which joins the partition first.
func (c *cluster) dial(role rpc.Role, name, partition string) cloudv1.CloudClient {
	c.t.Helper()
	return c.dialWith(c.bundle(role, name, partition))
}

func (c *cluster) dialWith(b *rpc.Bundle) cloudv1.CloudClient {
	c.t.Helper()
	conn, err := rpc.Dial(c.addr, b, rpc.CLC)
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
