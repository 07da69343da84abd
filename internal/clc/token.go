// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// How long a join token can be used.
const (
	defaultTokenLifetime = time.Hour
	maxTokenLifetime     = 7 * 24 * time.Hour
)

// tokenMemory is for how long a token that has expired is told from one that
// never was.
const tokenMemory = 7 * 24 * time.Hour

// forgottenAtOnce bounds the records that one transaction removes.
const forgottenAtOnce = 50

// CreateJoinToken makes a token with which one machine can join, once, as the
// part that spec names. A part of that name that is there stays until the token
// is used, and is then locked out.
func (c *Controller) CreateJoinToken(ctx context.Context, spec mallee.JoinTokenSpec) (mallee.JoinToken, error) {
	const op = "create join token for"
	if spec.Lifetime == 0 {
		spec.Lifetime = defaultTokenLifetime
	}
	if spec.Lifetime < time.Second || spec.Lifetime > maxTokenLifetime {
		return mallee.JoinToken{}, refuse(op, mallee.Invalid, spec.Name, "lifetime %s: write 1 second to %s", spec.Lifetime, maxTokenLifetime)
	}
	if !rpc.Joins(spec.Role) {
		return mallee.JoinToken{}, refuse(op, mallee.Invalid, spec.Name, "role %q: write sc, nc or sp", spec.Role)
	}
	if err := (ca.IssueOptions{Role: spec.Role, Name: spec.Name, Partition: spec.Partition, Hosts: spec.Hosts}).Check(); err != nil {
		return mallee.JoinToken{}, &mallee.Error{Op: op, Kind: mallee.Invalid, ID: spec.Name, Err: err}
	}
	t := join.NewToken(spec.Role, spec.Name, spec.Partition, c.parts.CA.Certificate())
	now := time.Now().UTC()
	expires := now.Add(spec.Lifetime)
	snap, err := c.store.Snapshot(ctx)
	if err != nil {
		return mallee.JoinToken{}, err
	}
	old, err := joinTokens.All(snap)
	if err != nil {
		return mallee.JoinToken{}, err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		forgotten := 0
		for id, r := range old {
			if now.Sub(r.Expires) < tokenMemory || forgotten == forgottenAtOnce {
				continue
			}
			forgotten++
			if err := joinTokens.Delete(tx, id); err != nil {
				return err
			}
		}
		return joinTokens.Put(tx, t.ID, joinTokenRecord{
			Role: spec.Role, Name: spec.Name, Partition: spec.Partition, Hosts: spec.Hosts,
			SecretHash: join.HashSecret(t.Secret), Expires: expires,
		})
	})
	if err != nil {
		return mallee.JoinToken{}, err
	}
	c.log.InfoContext(ctx, "join token created", "joining", t.ID, "part_role", spec.Role, "name", spec.Name, "partition", spec.Partition, "expires", expires)
	return mallee.JoinToken{JoinTokenSpec: spec, Token: t.Text(), Expires: expires}, nil
}
