// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

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
