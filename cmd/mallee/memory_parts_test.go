// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/mallee-io/mallee"
)

func (m *memory) CreateJoinToken(ctx context.Context, spec mallee.JoinTokenSpec) (mallee.JoinToken, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.JoinToken{}, err
	}
	defer leave()
	if spec.Role != mallee.RoleNC && spec.Role != mallee.RoleSC && spec.Role != mallee.RoleSP {
		return mallee.JoinToken{}, refused("InvalidParameterValue", "cannot create join token for %s: role %q: write sc, nc or sp", spec.Name, spec.Role)
	}
	return mallee.JoinToken{JoinTokenSpec: spec, Token: "nc:nc9:PARTI00:id:secret:pin", Expires: epoch.Add(spec.Lifetime)}, nil
}

func (m *memory) RemoveNode(ctx context.Context, id mallee.InstanceID) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for _, v := range m.volumes {
		if v.Attachment != nil && v.Attachment.InstanceID == id {
			return refused("VolumeInUse", "cannot remove %s: volumes are attached to it: %s. detach them first", id, v.ID)
		}
	}
	return nil
}
