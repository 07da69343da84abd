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
	// defragment gives what is not used any more back to the disk. That of an
	// embedded etcd's client fails with a nil pointer (etcd 3.7, v3client.New
	// gives its maintenance server no notifier).
	defragment func() error
	room       *room
	log        *slog.Logger
	wanted     chan struct{} // holds one token while room is to be made
	cancel     context.CancelFunc
	ended      sync.WaitGroup
}

func newQuota(client *clientv3.Client, defragment func() error, r *room, log *slog.Logger) *quota {
	ctx, cancel := context.WithCancel(context.Background())
	q := &quota{client: client, defragment: defragment, room: r, log: log, wanted: make(chan struct{}, 1), cancel: cancel}
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
		alarmed, err := q.mend(ctx)
		if err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "cannot make room in the store", "error", err)
		}
		if !alarmed {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(mendPause):
		}
	}
}

// mend drops old revisions and takes the alarm back, if there is one and it helped.
func (q *quota) mend(ctx context.Context) (alarmed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, mendTimeout)
	defer cancel()
	alarms, err := q.client.AlarmList(ctx)
	if err != nil || len(alarms.Alarms) == 0 {
		return false, err
	}
	now, err := q.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return true, err
	}
	// That the revision is compacted already is no reason to stop here.
	_, compactErr := q.client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	// It writes all that is used to a new file.
	if err := q.room.check(); err != nil {
		return true, err
	}
	if err := q.defragment(); err != nil {
		return true, err
	}
	status, err := q.client.Status(ctx, "")
	if err != nil {
		return true, err
	}
	if status.DbSize >= status.DbSizeQuota {
		q.log.ErrorContext(ctx, "the store is full of records and takes no more", "bytes", status.DbSize, "quota_bytes", status.DbSizeQuota, "error", compactErr)
		return true, nil
	}
	for _, a := range alarms.Alarms {
		if a.Alarm != etcdserverpb.AlarmType_NOSPACE {
			continue
		}
		if _, err := q.client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm}); err != nil {
			return true, err
		}
	}
	q.log.WarnContext(ctx, "the store was full: old revisions are dropped", "bytes", status.DbSize, "quota_bytes", status.DbSizeQuota)
	return true, nil
}
