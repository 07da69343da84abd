// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// mendPause keeps a store that is full of records from being compacted all the
// time, and mendTimeout bounds one compaction.
const (
	mendPause   = 10 * time.Second
	mendTimeout = time.Minute
)

// quota makes room in an embedded etcd that holds as much as it may. etcd then
// raises an alarm and refuses writes until the alarm is taken back, also when
// there is room again. What fills it is nearly always old revisions.
type quota struct {
	client *clientv3.Client
	log    *slog.Logger
	wanted chan struct{} // holds one token while room is to be made
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

func newQuota(client *clientv3.Client, log *slog.Logger) *quota {
	ctx, cancel := context.WithCancel(context.Background())
	q := &quota{client: client, log: log, wanted: make(chan struct{}, 1), cancel: cancel}
	q.reached() // the alarm may be from before this start
	q.ended.Go(func() { q.run(ctx) })
	return q
}

// reached tells that etcd has refused a write.
func (q *quota) reached() {
	select {
	case q.wanted <- struct{}{}:
	default:
	}
}

func (q *quota) close() {
	q.cancel()
	q.ended.Wait()
}

func (q *quota) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wanted:
		}
		if err := q.mend(ctx); err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "cannot make room in the store", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(mendPause):
		}
	}
}

// mend drops old revisions and takes the alarm back, if there is one and it helped.
func (q *quota) mend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, mendTimeout)
	defer cancel()
	alarms, err := q.client.AlarmList(ctx)
	if err != nil || len(alarms.Alarms) == 0 {
		return err
	}
	now, err := q.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	// A revision that was compacted before is no reason to stop here.
	_, compactErr := q.client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	if _, err := q.client.Defragment(ctx, ""); err != nil {
		return err
	}
	status, err := q.client.Status(ctx, "")
	if err != nil {
		return err
	}
	if status.DbSize >= status.DbSizeQuota {
		q.log.ErrorContext(ctx, "the store is full of records and takes no more", "bytes", status.DbSize, "quota_bytes", status.DbSizeQuota, "error", compactErr)
		return nil
	}
	for _, a := range alarms.Alarms {
		if a.Alarm != etcdserverpb.AlarmType_NOSPACE {
			continue
		}
		if _, err := q.client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm}); err != nil {
			return err
		}
	}
	q.log.WarnContext(ctx, "the store was full: old revisions are dropped", "bytes", status.DbSize, "quota_bytes", status.DbSizeQuota)
	return nil
}
