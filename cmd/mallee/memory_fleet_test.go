// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

// Partitions tells of PARTI00, and of PARTI01, whose storage controller has never
// been seen.
func (m *memory) Partitions(ctx context.Context) ([]mallee.Partition, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	pool := m.pool
	for _, v := range m.volumes {
		pool.PromisedBytes += uint64(v.SizeGiB) << 30
	}
	return []mallee.Partition{{Name: "PARTI00", Live: true, Pool: &pool}, {Name: "PARTI01"}}, nil
}

func (m *memory) Nodes(ctx context.Context) ([]mallee.Node, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return []mallee.Node{{InstanceID: node, Name: "nc1", Partition: "PARTI00", Initiator: "iqn.2026-01.io.mallee:nc1", Live: true, Seen: epoch, Joined: epoch, CertificateEnds: epoch.AddDate(0, 0, 30)}}, nil
}

// Paths tells of four expected paths to each attached volume, one of them down.
func (m *memory) Paths(ctx context.Context, ids ...mallee.VolumeID) ([]mallee.Path, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.Path
	for _, id := range slices.Sorted(maps.Keys(m.volumes)) {
		if m.volumes[id].Attachment == nil || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		list = append(
			list,
			mallee.Path{VolumeID: id, InstanceID: node, Interface: "iface0", Portal: "10.107.1.200:3260", State: mallee.PathUp, BlockDev: "sda"},
			mallee.Path{VolumeID: id, InstanceID: node, Interface: "iface0", Portal: "10.107.1.201:3260", State: mallee.PathUp, BlockDev: "sdb"},
			mallee.Path{VolumeID: id, InstanceID: node, Portal: "10.108.1.200:3260", State: mallee.PathUp, BlockDev: "sdc"},
			mallee.Path{VolumeID: id, InstanceID: node, Portal: "10.108.1.201:3260", State: mallee.PathMissing, Reason: "no route"},
		)
	}
	return list, nil
}

func (m *memory) Properties(ctx context.Context, prefixes ...string) ([]mallee.Property, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.Property
	for _, name := range slices.Sorted(maps.Keys(m.properties)) {
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			list = append(list, *m.properties[name])
		}
	}
	return list, nil
}

func (m *memory) SetProperty(ctx context.Context, name, value string) (mallee.PropertyChange, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.PropertyChange{}, err
	}
	defer leave()
	p := m.properties[name]
	if p == nil {
		return mallee.PropertyChange{}, refused("InvalidProperty.NotFound", "Failed to set property: No such property: %s", name)
	}
	if strings.Contains(value, ",,") {
		return mallee.PropertyChange{}, refused("InvalidParameterValue", "Invalid paths: element 2 of %q is empty", value)
	}
	change := mallee.PropertyChange{Name: name, Value: value, OldValue: p.Value}
	p.Value = value
	return change, nil
}

func (m *memory) ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error) {
	m.mu.Lock()
	standard := cmp.Or(m.properties[name], &mallee.Property{}).Default // the zero Property for an unknown name
	m.mu.Unlock()
	return m.SetProperty(ctx, name, standard)
}
