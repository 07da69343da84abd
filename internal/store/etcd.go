// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"golang.org/x/sys/unix"
)

// startTimeout bounds how long etcd may take to replay its log and elect itself.
const startTimeout = time.Minute

// Options says where the store is.
type Options struct {
	// Dir holds etcd's data and its two sockets. It is made with mode 0700.
	Dir string
	Log *slog.Logger
	// UnsafeNoFsync makes writes fast and lets a power failure lose them. It is
	// for tests.
	UnsafeNoFsync bool
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	client *clientv3.Client
	etcd   *embed.Etcd
	log    *quietCore
	lock   *os.File
}

// Open starts etcd in this process and waits until it answers.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("cannot open the store in %s: %w", o.Dir, err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (*Store, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	core := newQuietCore(o.Log)
	e, err := embed.StartEtcd(etcdConfig(o, core))
	if err != nil {
		lock.Close()
		return nil, err
	}
	s := &Store{etcd: e, log: core, lock: lock}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-e.Server.ReadyNotify():
		s.client = v3client.New(e.Server)
		return s, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = fmt.Errorf("etcd was not ready after %v", startTimeout)
	case err = <-e.Err():
	}
	return nil, errors.Join(err, s.Close())
}

// takeLock makes this process the only one with the store open, for as long as
// the file is. etcd has a lock of its own, but waits for it without end and only
// after it has taken the other process's sockets away.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process has it open: %s: %w", path, err)
	}
	return f, nil
}

func etcdConfig(o Options, core *quietCore) *embed.Config {
	c := embed.NewConfig()
	c.Name = "clc"
	c.Dir = filepath.Join(o.Dir, "data")
	// Sockets in a directory of ours instead of TCP ports: nobody but root and
	// etcdctl on this machine can get at the records. etcd's listener wants a
	// port, which is then a part of the file's name.
	socket := func(name string) []url.URL {
		return []url.URL{{Scheme: "unix", Path: filepath.Join(o.Dir, name) + ":0"}}
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = socket("client.sock"), socket("client.sock")
	c.ListenPeerUrls, c.AdvertisePeerUrls = socket("peer.sock"), socket("peer.sock")
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	// Without compaction the history of every record is kept until the quota is
	// full and etcd refuses writes.
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, "1h"
	c.UnsafeNoFsync = o.UnsafeNoFsync
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(core.logger())
	return c
}

// Close stops etcd. Calls still under way fail.
func (s *Store) Close() error {
	s.log.silence()
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	s.etcd.Close()
	s.lock.Close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Failed delivers the error that has stopped etcd, should one do so.
func (s *Store) Failed() <-chan error { return s.etcd.Err() }

// Metrics returns etcd's own figures. They are taken from the global registry,
// because etcd knows no other, and without what every registry has.
func Metrics() prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all, err := prometheus.DefaultGatherer.Gather()
		var ours []*dto.MetricFamily
		for _, f := range all {
			if strings.HasPrefix(f.GetName(), "etcd_") {
				ours = append(ours, f)
			}
		}
		return ours, err
	})
}
