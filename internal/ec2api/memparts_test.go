// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"cmp"
	"context"
	"time"

	"github.com/mallee-io/mallee"
)

func (c *memCloud) CreateJoinToken(_ context.Context, spec mallee.JoinTokenSpec) (mallee.JoinToken, error) {
	if spec.Role == "clc" {
		return mallee.JoinToken{}, failed("create join token for", mallee.Invalid, spec.Name, "role %q: write sc, nc or sp", spec.Role)
	}
	spec.Lifetime = cmp.Or(spec.Lifetime, time.Hour)
	return mallee.JoinToken{JoinTokenSpec: spec, Token: "the-token", Expires: created.Add(spec.Lifetime)}, c.broken
}

func (c *memCloud) RemoveNode(ctx context.Context, id mallee.InstanceID) error {
	volumes, err := c.Volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if v.Attachment != nil && v.Attachment.InstanceID == id {
			return failed("remove", mallee.InUse, string(id), "volumes are attached to it: %s", v.ID)
		}
	}
	if id != node1 && id != node2 {
		return failed("remove", mallee.NotFound, string(id), "no such node")
	}
	return nil
}
