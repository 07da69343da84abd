// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"maps"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// full is a size that the pool has no room for.
const full = 1000

func (m *memory) ResizeVolume(ctx context.Context, id mallee.VolumeID, sizeGiB int) (mallee.Modification, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.Modification{}, err
	}
	defer leave()
	v, err := m.find(id)
	if err != nil {
		return mallee.Modification{}, err
	}
	if sizeGiB <= v.SizeGiB {
		return mallee.Modification{}, refused("InvalidParameterValue", "New size cannot be smaller than existing size")
	}
	g := &mallee.Modification{State: mallee.ModificationModifying, OriginalGiB: v.SizeGiB, TargetGiB: sizeGiB, Started: epoch}
	m.growths[id], m.due[id] = g, m.now().Add(m.delay)
	return *g, nil
}

// grow brings the growth of a volume one step on: to its node after delay, and to
// its end after another.
func (m *memory) grow(v *mallee.Volume) {
	g := m.growths[v.ID]
	switch {
	case g == nil || m.now().Before(m.due[v.ID]):
	case g.State == mallee.ModificationModifying && g.TargetGiB >= full:
		g.State, g.Message, g.Ended = mallee.ModificationFailed, "the pool is full", epoch
	case g.State == mallee.ModificationModifying:
		g.State, v.SizeGiB, m.due[v.ID] = mallee.ModificationOptimizing, g.TargetGiB, m.now().Add(m.delay)
	case g.State == mallee.ModificationOptimizing:
		g.State, g.Ended = mallee.ModificationCompleted, epoch
	}
}

func (m *memory) Modification(ctx context.Context, id mallee.VolumeID) (*mallee.Modification, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if _, err := m.find(id); err != nil || m.growths[id] == nil {
		return nil, err
	}
	g := *m.growths[id]
	return &g, nil
}

// VolumeStatus knows that one path of each attached volume is down.
func (m *memory) VolumeStatus(ctx context.Context, id mallee.VolumeID) (client.VolumeStatus, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	v, err := m.find(id)
	if err != nil {
		return "", err
	}
	if v.Attachment != nil {
		return client.StatusImpaired, nil
	}
	return client.StatusOK, nil
}

// tagsOf returns where the tags of a volume or the node are kept.
func (m *memory) tagsOf(id string) (*map[string]string, error) {
	if id == string(node) {
		return &m.nodeTags, nil
	}
	v, err := m.find(mallee.VolumeID(id))
	if err != nil {
		return nil, err
	}
	return &v.Tags, nil
}

func (m *memory) Tags(ctx context.Context, id string) (map[string]string, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	tags, err := m.tagsOf(id)
	if err != nil {
		return nil, nil // as EC2 answers
	}
	return maps.Clone(*tags), nil
}

func (m *memory) AddTags(ctx context.Context, id string, tags map[string]string) error {
	return m.changeTags(ctx, id, func(have map[string]string) { maps.Copy(have, tags) })
}

func (m *memory) RemoveTags(ctx context.Context, id, key string, more ...string) error {
	return m.changeTags(ctx, id, func(have map[string]string) {
		for _, key := range append(more, key) {
			delete(have, key)
		}
	})
}

func (m *memory) changeTags(ctx context.Context, id string, change func(map[string]string)) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	tags, err := m.tagsOf(id)
	if err != nil {
		return err
	}
	if *tags == nil {
		*tags = map[string]string{}
	}
	change(*tags)
	return nil
}
