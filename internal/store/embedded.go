// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

// startTimeout bounds how long etcd may take to answer for the first time: an
// embedded one replays its log and elects itself.
const startTimeout = time.Minute

// embedded is an etcd in this process.
type embedded struct {
	etcd *embed.Etcd
	log  *quietCore
	lock *os.File
}

func openEmbedded(ctx context.Context, o Options) (*Store, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	r := &room{dir: o.Dir, database: filepath.Join(o.Dir, "data", "member", "snap", "db"), statfs: o.Statfs}
	if r.statfs == nil {
		r.statfs = unix.Statfs
	}
	if err := r.check(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	core := newQuietCore(o.Log)
	e, err := embed.StartEtcd(etcdConfig(o, core))
	if err != nil {
		lock.Close()
		return nil, err
	}
	m := &embedded{etcd: e, log: core, lock: lock}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-e.Server.ReadyNotify():
		client := v3client.New(e.Server)
		return &Store{
			client: client, room: r, quota: newQuota(client, e.Server.Defragment, r, o.Log), failed: e.Err(), stop: m.stop,
			turns: semaphore.NewWeighted(everybody),
		}, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = fmt.Errorf("etcd was not ready after %v", startTimeout)
	case err = <-e.Err():
	}
	m.stop()
	return nil, err
}

func (m *embedded) stop() {
	m.log.silence()
	m.etcd.Close()
	m.lock.Close()
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
	c.QuotaBackendBytes = o.QuotaBytes
	c.UnsafeNoFsync = o.UnsafeNoFsync
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(core.logger())
	return c
}

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
