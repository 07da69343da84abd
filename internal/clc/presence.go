// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"errors"
	"fmt"
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
	open bool
	seen time.Time // when the last stream ended
}

type partitionSign struct {
	sign
	controller string       // the name of the SC that has the stream
	pool       *mallee.Pool // as last reported; nil until then. It is never changed.
}

func newPresence() *presence {
	return &presence{nodes: map[string]*sign{}, partitions: map[string]*partitionSign{}}
}

// secondStream tells what to do about an agent whose name has a stream already.
// One that has lost its former connection gets in by itself: the dead
// connection is found by keepalive, and agents try again every second.
const secondStream = "if it has just lost its connection, it gets in within 15 seconds; if this goes on, two machines have one certificate: " +
	"give the copied machine an initiator name of its own and have it join under another name (mallee token create)"

// openNode notes that a node has opened a stream, until closed is called. A
// second stream is refused: two machines with one certificate, made from one
// image, would both be told to bring up the volume, and both would write to it.
func (p *presence) openNode(name string) (closed func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.nodes[name]
	if !ok {
		s = &sign{}
		p.nodes[name] = s
	}
	if s.open {
		return nil, &mallee.Error{
			Op: "admit node", Kind: mallee.InUse, ID: name, Hint: secondStream,
			Err: errors.New("a machine with its certificate is connected already"),
		}
	}
	return p.occupy(s), nil
}

// openPartition notes that a storage controller has opened a stream, until
// closed is called. Two controllers would undo each other's work, so a second
// stream is refused, also one under the same name.
func (p *presence) openPartition(partition, controller string) (closed func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.partitions[partition]
	if !ok {
		s = &partitionSign{}
		p.partitions[partition] = s
	}
	if s.open {
		return nil, &mallee.Error{
			Op: "serve partition", Kind: mallee.InUse, ID: partition, Hint: secondStream,
			Err: fmt.Errorf("storage controller %s serves it", s.controller),
		}
	}
	s.controller = controller
	return p.occupy(&s.sign), nil
}

// occupy is called with p.mu held.
func (p *presence) occupy(s *sign) (closed func()) {
	s.open = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.open, s.seen = false, time.Now().UTC()
	}
}

// reported notes the pool that a storage controller has found. It fails unless
// that controller serves the partition.
func (p *presence) reported(partition, controller string, pool *cloudv1.Pool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.partitions[partition]
	if !ok || !s.open || s.controller != controller {
		return refuse("report on partition", mallee.IncorrectState, partition, "storage controller %s does not serve it", controller)
	}
	if pool != nil {
		s.pool = newPool(pool)
	}
	return nil
}

// node tells whether a node has a stream open, and since when it has none: the
// zero time if it has not had one since this controller was started.
func (p *presence) node(name string) (live bool, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.nodes[name]; ok {
		return s.open, s.seen
	}
	return false, time.Time{}
}
