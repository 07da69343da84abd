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

// fullMessage tells of an attached volume why its writes wait.
//
// A node cannot tell: LIO answers a write that finds no room with NOT READY, as it
// does when the disk itself fails (drivers/target/target_core_transport.c, the
// sense of TCM_LOGICAL_UNIT_COMMUNICATION_FAILURE), and dm-multipath takes that for
// the failure of the path. It has the write tried on each path that multipathd
// finds well again, until there is room, and never runs out of paths for long
// enough to give it up.
func fullMessage(partition string) string {
	return "the pool of partition " + partition + " is full: writes of new blocks wait until it has room"
}

func newPool(p *cloudv1.Pool) *mallee.Pool {
	return &mallee.Pool{
		SizeBytes: p.GetSizeBytes(), FreeBytes: p.GetFreeBytes(),
		PromisedBytes: p.GetPromisedBytes(), PromiseLimitBytes: p.GetPromiseLimitBytes(),
		MetadataSizeBytes: p.GetMetadataSizeBytes(), MetadataFreeBytes: p.GetMetadataFreeBytes(),
		Alarms: p.GetAlarms(),
	}
}
