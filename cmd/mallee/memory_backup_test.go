// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// Backup writes the volumes.
func (m *memory) Backup(ctx context.Context, w io.Writer) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return json.NewEncoder(w).Encode(m.volumes)
}

// Restore replaces the volumes.
func (m *memory) Restore(ctx context.Context, backup io.ReadSeeker, force bool) (client.Restored, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return client.Restored{}, err
	}
	defer leave()
	var volumes map[mallee.VolumeID]*mallee.Volume
	if err := json.NewDecoder(backup).Decode(&volumes); err != nil {
		return client.Restored{}, refused("InvalidParameterValue", "cannot restore: cannot read the backup: %v", err)
	}
	if len(m.volumes) > 0 && !force {
		return client.Restored{}, refused("IncorrectState", "cannot restore: this cloud controller holds %d volumes, which the backup would replace", len(m.volumes))
	}
	m.volumes = volumes
	return client.Restored{Created: epoch, Volumes: len(volumes), Nodes: 1}, nil
}
