// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Record is one record as it is stored, whatever its type.
type Record struct {
	Table string
	ID    string
	// Text is the JSON of value and schema.
	Text json.RawMessage
}

// Records returns every record in the order of tables and ids.
func (snap *Snapshot) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for _, table := range slices.Sorted(maps.Keys(snap.tables)) {
			for _, id := range slices.Sorted(maps.Keys(snap.tables[table])) {
				if !yield(Record{table, id, snap.tables[table][id]}) {
					return
				}
			}
		}
	}
}

// Revision returns etcd's revision as of which the records were read.
func (snap *Snapshot) Revision() int64 { return snap.revision }

// Name returns the table's name.
func (t Table[T]) Name() string { return t.name }

// Check tells whether a record that was read elsewhere could be one of the table's.
func (t Table[T]) Check(r Record) error {
	key, err := t.key(r.ID)
	if err != nil {
		return err
	}
	if len(r.Text) > maxValue {
		return fmt.Errorf("record %s has %d bytes, more than the %d that a record may have", key, len(r.Text), maxValue)
	}
	_, err = t.decode(key, r.Text)
	return err
}

// Edit returns a record of the table with what change makes of its value.
func (t Table[T]) Edit(r Record, change func(T) T) (Record, error) {
	key := prefix + t.name + "/" + r.ID
	v, err := t.decode(key, r.Text)
	if err != nil {
		return Record{}, err
	}
	text, err := t.encode(key, "", change(v))
	return Record{r.Table, r.ID, json.RawMessage(text)}, err
}

// batchBytes keeps a batch within what etcd takes at once, 1.5 MiB
// (embed.DefaultMaxRequestBytes).
const batchBytes = maxValue + 1<<18

// Replace makes the store hold these records, which have passed their tables'
// Check, and nothing else, but for the table named keep, which it leaves alone.
// It does so in batches, those that are written first: whoever is interrupted
// calls it again.
func (s *Store) Replace(ctx context.Context, records []Record, keep string) error {
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	stale := map[string]bool{}
	for r := range snap.Records() {
		stale[prefix+r.Table+"/"+r.ID] = r.Table != keep
	}
	b := batch{store: s}
	for _, r := range records {
		if r.Table == keep {
			continue
		}
		key, text := prefix+r.Table+"/"+r.ID, string(r.Text)
		stale[key] = false
		if string(snap.tables[r.Table][r.ID]) == text {
			continue
		}
		if err := b.add(ctx, key, &text); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(stale)) {
		if !stale[key] {
			continue
		}
		if err := b.add(ctx, key, nil); err != nil {
			return err
		}
	}
	return b.flush(ctx)
}

// batch collects writes up to what a transaction may have.
type batch struct {
	store  *Store
	writes map[string]*string
	bytes  int
}

func (b *batch) add(ctx context.Context, key string, text *string) error {
	size := len(key)
	if text != nil {
		size += len(*text)
	}
	if len(b.writes) == maxTxOps || b.bytes+size > batchBytes {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	if b.writes == nil {
		b.writes = map[string]*string{}
	}
	b.writes[key] = text
	b.bytes += size
	return nil
}

func (b *batch) flush(ctx context.Context) error {
	writes := b.writes
	b.writes, b.bytes = nil, 0
	return b.store.Update(ctx, func(tx *Tx) error {
		tx.writes = writes
		return nil
	})
}
