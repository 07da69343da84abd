// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"maps"
	"slices"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// Partitions returns every partition that has ever had a storage controller, in
// the order of their names.
func (c *Controller) Partitions(ctx context.Context) ([]mallee.Partition, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return nil, err
	}
	var list []mallee.Partition
	for _, name := range slices.Sorted(maps.Keys(v.partitions)) {
		list = append(list, mallee.Partition{Name: name, Live: c.presence.partition(name), Pool: c.presence.pool(name)})
	}
	return list, nil
}

// partition tells whether the storage controller of a partition has a stream open.
func (p *presence) partition(name string) (live bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.partitions[name]
	return ok && s.open
}

// pool returns what a partition's pool last held; nil while no storage
// controller has told. The caller must not change it.
func (p *presence) pool(partition string) *mallee.Pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.partitions[partition]; ok {
		return s.pool
	}
	return nil
}

func newPool(p *cloudv1.Pool) *mallee.Pool {
	return &mallee.Pool{
		SizeBytes: p.GetSizeBytes(), FreeBytes: p.GetFreeBytes(),
		PromisedBytes: p.GetPromisedBytes(), PromiseLimitBytes: p.GetPromiseLimitBytes(),
		MetadataSizeBytes: p.GetMetadataSizeBytes(), MetadataFreeBytes: p.GetMetadataFreeBytes(),
		Alarms: p.GetAlarms(),
	}
}
