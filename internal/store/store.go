// SPDX-License-Identifier: Apache-2.0

// Package store keeps typed records in etcd: in one that runs in this process,
// which is embedded, or in a cluster that somebody else runs, which is external.
//
// A record is a value of one Go type under an id. A table is all records of one
// type. A transaction reads and writes records of any tables, all or nothing. A
// snapshot is every record as of one moment. The store tells that something has
// changed and never what: a reader takes a new snapshot.
//
// A record's key is /mallee/v1/TABLE/ID, its value JSON with the version of its
// schema, so that an older program does not misread what a newer one wrote.
//
// One process at a time has the store open. An embedded etcd has a lock on its
// directory. An external one has a lease, a key that is gone when its holder has
// not renewed it for a while; every write is made only while the holder's key is
// there. Who finds the lease held stands by until it is free.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

// Options says where the store is.
type Options struct {
	// Dir holds the embedded etcd's data and its two sockets. It is made with
	// mode 0700. It is not used when External names endpoints.
	Dir string
	// External is the cluster that somebody else runs, if there is one.
	External External
	// Name is what others read who find the lease of an external cluster held.
	Name string
	Log  *slog.Logger
	// QuotaBytes is the most that an embedded etcd may hold, old revisions
	// included; 0 means etcd's own 2 GiB.
	QuotaBytes int64
	// Statfs is asked how much room the disk of an embedded etcd has; nil means
	// statfs(2). Tests fill a disk by it.
	Statfs func(path string, into *unix.Statfs_t) error
	// UnsafeNoFsync makes writes to an embedded etcd fast and lets a power failure
	// lose them. It is for tests.
	UnsafeNoFsync bool
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	client *clientv3.Client
	room   *room  // of the disk; nil for an external etcd
	quota  *quota // nil for an external etcd
	lease  *lease // nil for an embedded etcd
	failed <-chan error
	stop   func()
	turns  *semaphore.Weighted // of transactions; see Update
}

// Open opens the store. It starts an embedded etcd and waits until that answers;
// of an external one it waits for the lease, for as long as ctx lasts.
func Open(ctx context.Context, o Options) (*Store, error) {
	if len(o.External.Endpoints) > 0 {
		s, err := openExternal(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("cannot open the store at %v: %w", o.External.Endpoints, err)
		}
		return s, nil
	}
	s, err := openEmbedded(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("cannot open the store in %s: %w", o.Dir, err)
	}
	return s, nil
}

// Close gives the lease back and stops an embedded etcd. Calls still under way
// fail.
func (s *Store) Close() error {
	if s.lease != nil {
		s.lease.giveBack()
	}
	if s.quota != nil {
		s.quota.close()
	}
	err := s.client.Close()
	s.stop()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Failed delivers an error when an embedded etcd has stopped, or when the lease
// of an external one may be another's. The store must not be relied on any more.
func (s *Store) Failed() <-chan error { return s.failed }

// Watch delivers a value at once and whenever records may have changed since
// the last one was taken; several changes may be told as one. It ends, and the
// channel is closed, with ctx.
func (s *Store) Watch(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	go func() {
		defer close(changed)
		for ctx.Err() == nil {
			s.watchOnce(ctx, changed)
			// The watch was cut off, by compaction for example. What was missed
			// is made good by the signal with which the next one begins.
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return changed
}

func (s *Store) watchOnce(ctx context.Context, changed chan<- struct{}) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for resp := range s.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if resp.Err() != nil {
			return
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}
