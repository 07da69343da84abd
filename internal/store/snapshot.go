// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Snapshot is every record as of one moment. It is not changed after it was
// taken and so is safe for concurrent use.
type Snapshot struct {
	revision int64
	tables   map[string]map[string][]byte // table, id
}

// Snapshot reads every record, as of one moment.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	resp, _, err := request(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, prefix, clientv3.WithPrefix())
	})
	if err != nil {
		return nil, failure("read the store", err)
	}
	snap := &Snapshot{revision: resp.Header.Revision, tables: map[string]map[string][]byte{}}
	for _, kv := range resp.Kvs {
		table, id, ok := strings.Cut(strings.TrimPrefix(string(kv.Key), prefix), "/")
		if !ok {
			continue
		}
		if snap.tables[table] == nil {
			snap.tables[table] = map[string][]byte{}
		}
		snap.tables[table][id] = kv.Value
	}
	return snap, nil
}

// All returns the records that the table has in snap, by id.
func (t Table[T]) All(snap *Snapshot) (map[string]T, error) {
	all := make(map[string]T, len(snap.tables[t.name]))
	for id, text := range snap.tables[t.name] {
		v, err := t.decode(prefix+t.name+"/"+id, text)
		if err != nil {
			return nil, err
		}
		all[id] = v
	}
	return all, nil
}
