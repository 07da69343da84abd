// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

const prefix = "/mallee/v1/"

// maxValue is what a record may have in bytes. etcd refuses requests beyond
// 1.5 MiB (embed.DefaultMaxRequestBytes) with an error that names no record.
const maxValue = 1 << 20

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
	// Tx names the transaction that wrote the record, so that it can tell its
	// own write from an equal one of another.
	Tx string `json:"tx,omitempty"`
}

func (t Table[T]) encode(key, tx string, v T) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("record %s: %w", key, err)
	}
	text, err := json.Marshal(envelope{Schema: t.schema, Value: value, Tx: tx})
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

// Find reads the record of an id outside of any transaction. There being none is
// no error.
func (t Table[T]) Find(ctx context.Context, s *Store, id string) (v T, found bool, err error) {
	tx := s.begin(ctx)
	return t.Get(tx, id)
}
