// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mallee-io/mallee"
)

// leaseKey is there while somebody holds the lease. It is no record: a backup
// must not bring it back.
const leaseKey = "/mallee/lease"

// The lease is free leaseTTL after its holder was heard last. A holder that is
// stopped gives it back at once.
const (
	leaseTTL   = 10 * time.Second
	leaseRenew = leaseTTL / 4
	// standbyPause is how often who stands by looks whether the lease is free.
	standbyPause = time.Second
)

// ErrLeaseLost is what Failed delivers when another process may have the store
// open by now, and why its writes fail then. Open waits for the next turn.
var ErrLeaseLost error = &mallee.Error{
	Op: "serve", Kind: mallee.Unavailable, Err: errors.New("the lease is lost: another cloud controller may serve by now"),
}

// lease is this process' right to be the only one that writes.
type lease struct {
	client   *clientv3.Client
	id       clientv3.LeaseID
	revision int64 // that created the key; whoever takes the lease later has another
	lost     chan error
	cancel   context.CancelFunc
	ended    chan struct{}
}

// acquire waits until the lease is free and takes it. While etcd cannot be
// reached at all it waits for startTimeout only.
func acquire(ctx context.Context, client *clientv3.Client, name string, log *slog.Logger) (*lease, error) {
	holder, answered := "", time.Now()
	for {
		l, now, err := take(ctx, client, name)
		switch {
		case err == nil && l != nil:
			return l, nil
		case err == nil:
			if answered = time.Now(); now != holder {
				log.InfoContext(ctx, "another cloud controller serves: standing by", "holder", now)
			}
			holder = now
		case !transient(err) || time.Since(answered) > startTimeout:
			return nil, failure("take the lease", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(standbyPause):
		}
	}
}

// take takes the lease if it is free, else it returns the holder's name.
func take(ctx context.Context, client *clientv3.Client, name string) (l *lease, holder string, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	have, err := client.Get(ctx, leaseKey)
	if err != nil {
		return nil, "", err
	}
	if len(have.Kvs) > 0 {
		return nil, string(have.Kvs[0].Value), nil
	}
	began := time.Now()
	granted, err := client.Grant(ctx, int64(leaseTTL/time.Second))
	if err != nil {
		return nil, "", err
	}
	resp, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(leaseKey), "=", 0)).
		Then(clientv3.OpPut(leaseKey, name, clientv3.WithLease(granted.ID))).Commit()
	if err == nil && !resp.Succeeded {
		err = rpctypes.ErrTimeout // somebody was faster: look who
	}
	if err != nil {
		// Should the key have been written all the same, it goes with the lease.
		_, revokeErr := client.Revoke(ctx, granted.ID)
		return nil, "", errors.Join(err, revokeErr)
	}
	l = &lease{client: client, id: granted.ID, revision: resp.Header.Revision, lost: make(chan error, 1), ended: make(chan struct{})}
	// The lease outlives the call that took it.
	kept, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	go l.keep(kept, began)
	return l, "", nil
}

// keep renews the lease until ctx ends or etcd says that there is none. The
// loss is told as soon as the lease may be over, by the clock here; should etcd
// turn out to have kept it, because it had no leader either, the store still works.
func (l *lease) keep(ctx context.Context, renewed time.Time) {
	defer close(l.ended)
	for told := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(leaseRenew):
		}
		asked := time.Now()
		_, err := try(ctx, func(ctx context.Context) (*clientv3.LeaseKeepAliveResponse, error) {
			return l.client.KeepAliveOnce(ctx, l.id)
		})
		gone := errors.Is(err, rpctypes.ErrLeaseNotFound)
		if err == nil {
			renewed = asked
		}
		if !told && ctx.Err() == nil && (gone || time.Since(renewed) > leaseTTL) {
			told = true
			l.lost <- fmt.Errorf("%w (last renewed %v ago)", ErrLeaseLost, time.Since(renewed).Round(time.Second))
		}
		if gone {
			return
		}
	}
}

// mine is true as long as the lease is this one.
func (l *lease) mine() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(leaseKey), "=", l.revision)
}

// held tells from the answer to a transaction that failed whether it failed for
// another reason than the lease, whose key is the first that it read.
func (l *lease) held(resp *clientv3.TxnResponse) bool {
	kvs := resp.Responses[0].GetResponseRange().GetKvs()
	return len(kvs) == 1 && kvs[0].CreateRevision == l.revision
}

// giveBack frees the lease, so that whoever stands by need not wait for its end.
func (l *lease) giveBack() {
	l.cancel()
	<-l.ended
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.client.Revoke(ctx, l.id) // if it fails the lease ends by itself
}
