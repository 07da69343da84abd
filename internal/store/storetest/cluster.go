// SPDX-License-Identifier: Apache-2.0

// Package storetest runs the kind of etcd cluster that an admin would point the
// cloud controller at: three members that ask for certificates, here in the
// process of the test and on loopback.
package storetest

import (
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/mallee-io/mallee/internal/store"
)

const (
	members = 3
	// patience bounds the start of a member.
	patience = 30 * time.Second
)

// Cluster is three members.
type Cluster struct {
	t       *testing.T
	dir     string
	urls    [members]memberURLs
	members [members]*embed.Etcd // nil while a member is dead
}

type memberURLs struct{ client, peer url.URL }

// New starts a cluster that lasts as long as the test.
func New(t *testing.T) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir()}
	writeCertificates(t, c.dir)
	for i := range c.urls {
		c.urls[i] = memberURLs{client: loopback(t, "https"), peer: loopback(t, "http")}
	}
	t.Cleanup(func() {
		for i := range c.members {
			c.Kill(i)
		}
	})
	for i := range c.members {
		c.start(i)
	}
	for i := range c.members {
		c.await(i)
	}
	return c
}

// External says how to reach the cluster.
func (c *Cluster) External() store.External {
	e := store.External{CAFile: filepath.Join(c.dir, "ca.pem"), CertFile: filepath.Join(c.dir, "cert.pem"), KeyFile: filepath.Join(c.dir, "key.pem")}
	for _, u := range c.urls {
		e.Endpoints = append(e.Endpoints, u.client.String())
	}
	return e
}

// Open opens a store on the cluster.
func (c *Cluster) Open(name string) *store.Store {
	c.t.Helper()
	s, err := store.Open(c.t.Context(), store.Options{External: c.External(), Name: name, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// Client returns a client of etcd's own, for what a store does not do.
func (c *Cluster) Client() *clientv3.Client {
	c.t.Helper()
	e := c.External()
	tlsConfig, err := transport.TLSInfo{TrustedCAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile}.ClientConfig()
	if err != nil {
		c.t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints, TLS: tlsConfig, Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// Leader returns the member that leads.
func (c *Cluster) Leader() int {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for i, m := range c.members {
			if m != nil && m.Server.Leader() == m.Server.MemberID() {
				return i
			}
		}
	}
	c.t.Fatal("no member leads")
	return 0
}

// Kill stops a member without a word to the others, as a crash would. A dead
// one stays dead.
func (c *Cluster) Kill(i int) {
	if m := c.members[i]; m != nil {
		m.Server.HardStop()
		m.Close()
		c.members[i] = nil
	}
}

// Revive starts a member that was killed on the data that it has, and waits
// until it takes part.
func (c *Cluster) Revive(i int) {
	c.t.Helper()
	c.start(i)
	c.await(i)
}

func (c *Cluster) start(i int) {
	c.t.Helper()
	cfg := embed.NewConfig()
	cfg.Name = strconv.Itoa(i)
	cfg.Dir = filepath.Join(c.dir, cfg.Name)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{c.urls[i].client}, []url.URL{c.urls[i].client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{c.urls[i].peer}, []url.URL{c.urls[i].peer}
	var all []string
	for j, u := range c.urls {
		all = append(all, strconv.Itoa(j)+"="+u.peer.String())
	}
	cfg.InitialCluster = strings.Join(all, ",")
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile: filepath.Join(c.dir, "cert.pem"), KeyFile: filepath.Join(c.dir, "key.pem"),
		TrustedCAFile: filepath.Join(c.dir, "ca.pem"), ClientCertAuth: true,
	}
	cfg.UnsafeNoFsync = true // a member is stopped here, its machine is not
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if _, err := os.Stat(cfg.Dir); err == nil {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	m, err := embed.StartEtcd(cfg)
	if err != nil {
		c.t.Fatalf("etcd member %d: %v", i, err)
	}
	c.members[i] = m
}

func (c *Cluster) await(i int) {
	c.t.Helper()
	select {
	case <-c.members[i].Server.ReadyNotify():
	case err := <-c.members[i].Err():
		c.t.Fatalf("etcd member %d: %v", i, err)
	case <-time.After(patience):
		c.t.Fatalf("etcd member %d did not come up", i)
	}
}

// loopback returns a URL with a port that was free just now.
func loopback(t *testing.T, scheme string) url.URL {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return url.URL{Scheme: scheme, Host: l.Addr().String()}
}
