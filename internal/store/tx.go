// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// maxTxOps is how many records a transaction may touch: etcd's default
// (embed.DefaultMaxTxnOps), beyond which it refuses without saying which.
const maxTxOps = 128

// conflictRetries bounds how often a transaction is tried. With a few writers a
// second try nearly always does; running out means that something spins.
const conflictRetries = 20

var errConflict = errors.New("other transactions keep changing the same records")

// Tx is one try of a transaction. It must not be used after the function that
// it was given to has returned, nor by more than one goroutine.
type Tx struct {
	ctx    context.Context
	client *clientv3.Client
	read   map[string]record // as read, by key
	writes map[string]*string
}

type record struct {
	text     []byte
	revision int64 // etcd's modification revision; 0 means that there is none
}

// Update runs f and then writes what f has put and deleted, all or nothing, if
// nothing that f has read was changed meanwhile. Else it runs f again, which
// must therefore have no effect but through tx. An error of f is returned as it
// is, and nothing is written. A transaction that writes nothing has seen its
// records as of one moment when Update returns nil.
func (s *Store) Update(ctx context.Context, f func(tx *Tx) error) error {
	for try := range conflictRetries {
		tx := &Tx{ctx: ctx, client: s.client, read: map[string]record{}, writes: map[string]*string{}}
		if err := f(tx); err != nil {
			return err
		}
		done, err := tx.commit()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * time.Millisecond):
		}
	}
	return fmt.Errorf("cannot write to the store: %w", errConflict)
}

func (tx *Tx) commit() (done bool, err error) {
	// One record is read as of one moment. Several are not, unless they are
	// compared: what they say together may never have been so.
	if len(tx.writes) == 0 && len(tx.read) < 2 {
		return true, nil
	}
	if n := max(len(tx.read), len(tx.writes)); n > maxTxOps {
		return false, fmt.Errorf("cannot write to the store: a transaction with %d records, more than the %d it may have", n, maxTxOps)
	}
	compares := make([]clientv3.Cmp, 0, len(tx.read))
	for key, r := range tx.read {
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", r.revision))
	}
	ops := make([]clientv3.Op, 0, len(tx.writes))
	for key, text := range tx.writes {
		if text == nil {
			ops = append(ops, clientv3.OpDelete(key))
		} else {
			ops = append(ops, clientv3.OpPut(key, *text))
		}
	}
	ctx, cancel := context.WithTimeout(tx.ctx, opTimeout)
	defer cancel()
	resp, err := tx.client.Txn(ctx).If(compares...).Then(ops...).Commit()
	if err != nil {
		return false, fmt.Errorf("cannot write to the store: %w", err)
	}
	return resp.Succeeded, nil
}

func (tx *Tx) get(key string) (record, error) {
	if r, ok := tx.read[key]; ok {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(tx.ctx, opTimeout)
	defer cancel()
	resp, err := tx.client.Get(ctx, key)
	if err != nil {
		return record{}, fmt.Errorf("cannot read %s from the store: %w", key, err)
	}
	var r record
	if len(resp.Kvs) == 1 {
		r = record{text: resp.Kvs[0].Value, revision: resp.Kvs[0].ModRevision}
	}
	tx.read[key] = r
	return r, nil
}

// Get returns the record of an id, as this transaction has written it, else as
// it is stored. There being none is no error.
func (t Table[T]) Get(tx *Tx, id string) (v T, found bool, err error) {
	key, err := t.key(id)
	if err != nil {
		return v, false, err
	}
	if text, ok := tx.writes[key]; ok {
		if text == nil {
			return v, false, nil
		}
		v, err = t.decode(key, []byte(*text))
		return v, err == nil, err
	}
	r, err := tx.get(key)
	if err != nil || r.revision == 0 {
		return v, false, err
	}
	v, err = t.decode(key, r.text)
	return v, err == nil, err
}

// Put creates or replaces the record of an id. A transaction that has not read
// the record replaces whatever is there.
func (t Table[T]) Put(tx *Tx, id string, v T) error {
	key, err := t.key(id)
	if err != nil {
		return err
	}
	text, err := t.encode(key, v)
	if err != nil {
		return err
	}
	tx.writes[key] = &text
	return nil
}

// Delete removes the record of an id; there being none is no error.
func (t Table[T]) Delete(tx *Tx, id string) error {
	key, err := t.key(id)
	if err != nil {
		return err
	}
	tx.writes[key] = nil
	return nil
}
