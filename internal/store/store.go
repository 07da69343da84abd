// SPDX-License-Identifier: Apache-2.0

// Package store keeps typed records in etcd.
//
// A record is a value of one Go type under an id. A table is all records of one
// type. A transaction reads and writes records of any tables, all or nothing. A
// snapshot is every record as of one moment. The store tells that something has
// changed and never what: a reader takes a new snapshot.
//
// A record's key is /mallee/v1/TABLE/ID, its value JSON with the version of its
// schema, so that an older program does not misread what a newer one wrote.
package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const prefix = "/mallee/v1/"

// maxValue is what a record may have in bytes. etcd refuses requests beyond
// 1.5 MiB (embed.DefaultMaxRequestBytes) with an error that names no record.
const maxValue = 1 << 20

// opTimeout bounds one request to etcd, whatever the caller's deadline is.
const opTimeout = 10 * time.Second

// Table is the records of type T. Its value is a handle and may be copied.
type Table[T any] struct {
	name   string
	schema int
}

// NewTable returns the table of a name. Schema is the version of T's JSON form:
// raise it when an older program could not read a newer record rightly.
func NewTable[T any](name string, schema int) Table[T] {
	return Table[T]{name: name, schema: schema}
}

func (t Table[T]) key(id string) (string, error) {
	if id == "" || strings.Contains(id, "/") {
		return "", fmt.Errorf("%q cannot be an id in table %s", id, t.name)
	}
	return prefix + t.name + "/" + id, nil
}

type envelope struct {
	Schema int             `json:"schema"`
	Value  json.RawMessage `json:"value"`
}

func (t Table[T]) encode(key string, v T) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("record %s: %w", key, err)
	}
	text, err := json.Marshal(envelope{Schema: t.schema, Value: value})
	if err != nil {
		return "", fmt.Errorf("record %s: %w", key, err)
	}
	if len(text) > maxValue {
		return "", fmt.Errorf("record %s has %d bytes, more than the %d that a record may have", key, len(text), maxValue)
	}
	return string(text), nil
}

func (t Table[T]) decode(key string, text []byte) (T, error) {
	var e envelope
	var v T
	if err := json.Unmarshal(text, &e); err != nil {
		return v, fmt.Errorf("record %s is corrupt: %w", key, err)
	}
	if e.Schema < 1 || e.Schema > t.schema {
		return v, fmt.Errorf("record %s has schema %d and this program knows schemas 1 to %d: run the version that wrote it", key, e.Schema, t.schema)
	}
	if err := json.Unmarshal(e.Value, &v); err != nil {
		return v, fmt.Errorf("record %s is corrupt: %w", key, err)
	}
	return v, nil
}

// Snapshot is every record as of one moment. It is not changed after it was
// taken and so is safe for concurrent use.
type Snapshot struct {
	tables map[string]map[string][]byte // table, id
}

// Snapshot reads every record, as of one moment.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	resp, err := s.client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("cannot read the store: %w", err)
	}
	snap := &Snapshot{tables: map[string]map[string][]byte{}}
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

// Find reads the record of an id outside of any transaction. There being none is
// no error.
func (t Table[T]) Find(ctx context.Context, s *Store, id string) (v T, found bool, err error) {
	tx := &Tx{ctx: ctx, client: s.client, read: map[string]record{}}
	return t.Get(tx, id)
}

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
