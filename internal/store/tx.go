// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mallee-io/mallee"
)

// maxTxOps is how many records a transaction may touch: etcd's default
// (embed.DefaultMaxTxnOps, 128), beyond which it refuses without saying which,
// less the lease.
const maxTxOps = 127

// maxTries bounds how often a transaction is tried. The second try already has
// the store for itself: running out means that another process writes.
const maxTries = 5

// everybody is all turns that there are. A first try takes one of them.
const everybody = 1 << 20

// Tx is one try of a transaction. It must not be used after the function that
// it was given to has returned, nor by more than one goroutine.
type Tx struct {
	ctx    context.Context
	store  *Store
	id     string            // that no other has
	read   map[string]record // as read, by key
	writes map[string]*string
}

type record struct {
	text     []byte
	revision int64 // etcd's modification revision; 0 means that there is none
}

// Update runs f and then writes what f has put and deleted, all or nothing, if
// nothing that f has read was changed meanwhile. Else it runs f again, which
// must therefore have no effect but through tx, and must not call Update. An
// error of f is returned as it is, and nothing is written. A transaction that
// writes nothing has seen its records as of one moment when Update returns nil.
func (s *Store) Update(ctx context.Context, f func(tx *Tx) error) error {
	turns := int64(1)
	for range maxTries {
		if done, err := s.try(ctx, turns, f); done || err != nil {
			return err
		}
		// Of many that change one record at once, a node's for example, each round
		// lets one through, and some would lose in every one.
		turns = everybody
	}
	return &mallee.Error{
		Op: "write to the store", Kind: mallee.Unavailable,
		Err: errors.New("somebody else keeps changing the same records"), Hint: "try again",
	}
}

func (s *Store) try(ctx context.Context, turns int64, f func(tx *Tx) error) (done bool, err error) {
	if err := s.turns.Acquire(ctx, turns); err != nil {
		return false, err
	}
	defer s.turns.Release(turns)
	tx := s.begin(ctx)
	if err := f(tx); err != nil {
		return false, err
	}
	return tx.commit()
}

func (s *Store) begin(ctx context.Context) *Tx {
	return &Tx{ctx: ctx, store: s, id: rand.Text(), read: map[string]record{}, writes: map[string]*string{}}
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
	if len(tx.writes) > 0 && tx.store.room != nil {
		if err := tx.store.room.check(); err != nil {
			return false, err
		}
	}
	resp, doubt, err := request(tx.ctx, tx.send)
	switch {
	case err != nil:
		if errors.Is(err, rpctypes.ErrNoSpace) && tx.store.quota != nil {
			tx.store.quota.reached()
		}
		return false, failure("write to the store", err)
	case resp.Succeeded:
		return true, nil
	case tx.store.lease != nil && !tx.store.lease.held(resp):
		return false, failure("write to the store", ErrLeaseLost)
	case !doubt || len(tx.writes) == 0:
		return false, nil
	}
	return tx.landed(resp)
}

// send asks etcd to write, if what was read is as it was. Else etcd answers with
// the lease's key and what the written records are instead.
func (tx *Tx) send(ctx context.Context) (*clientv3.TxnResponse, error) {
	var compares []clientv3.Cmp
	var writes, reads []clientv3.Op
	if l := tx.store.lease; l != nil {
		compares, reads = append(compares, l.mine()), append(reads, clientv3.OpGet(leaseKey))
	}
	for key, r := range tx.read {
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", r.revision))
	}
	for key, text := range tx.writes {
		reads = append(reads, clientv3.OpGet(key))
		if text == nil {
			writes = append(writes, clientv3.OpDelete(key))
		} else {
			writes = append(writes, clientv3.OpPut(key, *text))
		}
	}
	return tx.store.client.Txn(ctx).If(compares...).Then(writes...).Else(reads...).Commit()
}

// landed tells whether a try of which no answer came has written. It has when a
// record bears this transaction's name. It has not, and never will, when a record
// is as it was read. Else nobody can tell.
func (tx *Tx) landed(resp *clientv3.TxnResponse) (bool, error) {
	is := map[string]record{}
	for _, r := range resp.Responses {
		for _, kv := range r.GetResponseRange().GetKvs() {
			is[string(kv.Key)] = record{text: kv.Value, revision: kv.ModRevision}
		}
	}
	untouched := false
	for key, text := range tx.writes {
		if text != nil && string(is[key].text) == *text {
			return true, nil
		}
		was, read := tx.read[key]
		untouched = untouched || read && is[key].revision == was.revision && (text != nil || was.revision != 0)
	}
	if untouched {
		return false, nil
	}
	return false, &mallee.Error{
		Op: "write to the store", Kind: mallee.Unavailable,
		Err: errors.New("it is not known whether it was done: etcd went away meanwhile and the records have changed since"),
	}
}

func (tx *Tx) get(key string) (record, error) {
	if r, ok := tx.read[key]; ok {
		return r, nil
	}
	resp, _, err := request(tx.ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return tx.store.client.Get(ctx, key)
	})
	if err != nil {
		return record{}, failure("read "+key+" from the store", err)
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
	text, err := t.encode(key, tx.id, v)
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
