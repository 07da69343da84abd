// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"sync"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// presence knows which agents have a stream open, and what the pools last held.
// None of it is stored: after a restart the agents tell it anew within seconds.
type presence struct {
	mu         sync.Mutex
	nodes      map[string]*sign // by the name in the certificate
	partitions map[string]*partitionSign
}

// sign is the sign of life of an agent.
type sign struct {
	streams int
	seen    time.Time
}

type partitionSign struct {
	sign
	controller string // the name of the SC that has the streams
	size, free uint64
}

func newPresence() *presence {
	return &presence{nodes: map[string]*sign{}, partitions: map[string]*partitionSign{}}
}

// openNode notes that a node has opened a stream, until closed is called.
func (p *presence) openNode(name string) (closed func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.nodes[name]
	if !ok {
		s = &sign{}
		p.nodes[name] = s
	}
	s.streams++
	s.seen = time.Now().UTC()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.streams--
		s.seen = time.Now().UTC()
	}
}

// openPartition notes that a storage controller has opened a stream, until
// closed is called. Two controllers would undo each other's work, so a second
// one is refused while the first has a stream. The same one may come back
// before its former connection has been found dead.
func (p *presence) openPartition(partition, controller string) (closed func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.partitions[partition]
	if !ok {
		s = &partitionSign{}
		p.partitions[partition] = s
	}
	if s.streams > 0 && s.controller != controller {
		return nil, refuse("serve partition", mallee.InUse, partition, "storage controller %s serves it", s.controller)
	}
	s.controller = controller
	s.streams++
	s.seen = time.Now().UTC()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.streams--
		s.seen = time.Now().UTC()
	}, nil
}

// reported notes the pool that a storage controller has found. It fails unless
// that controller serves the partition.
func (p *presence) reported(partition, controller string, pool *cloudv1.Pool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.partitions[partition]
	if !ok || s.streams == 0 || s.controller != controller {
		return refuse("report on partition", mallee.IncorrectState, partition, "storage controller %s does not serve it", controller)
	}
	s.seen = time.Now().UTC()
	if pool != nil {
		s.size, s.free = pool.SizeBytes, pool.FreeBytes
	}
	return nil
}

func (p *presence) node(name string) (live bool, seen time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.nodes[name]; ok {
		return s.streams > 0, s.seen
	}
	return false, time.Time{}
}

func (p *presence) partition(name string) mallee.Partition {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := mallee.Partition{Name: name}
	if s, ok := p.partitions[name]; ok {
		r.Live, r.PoolBytes, r.FreeBytes = s.streams > 0, s.size, s.free
	}
	return r
}
