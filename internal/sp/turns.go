// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"sync"

	"github.com/mallee-io/mallee"
)

// turns lets one call at a time work on a volume. The zero value is ready.
type turns struct {
	mu   sync.Mutex
	busy map[mallee.VolumeID]chan struct{} // closed when the volume's turn is over
}

// take waits for the turn of a volume and returns what ends it. One volume whose
// commands in flight do not drain keeps its callers waiting, and nobody else.
func (t *turns) take(ctx context.Context, id mallee.VolumeID) (end func(), err error) {
	for {
		t.mu.Lock()
		other, taken := t.busy[id]
		if !taken {
			if t.busy == nil {
				t.busy = map[mallee.VolumeID]chan struct{}{}
			}
			mine := make(chan struct{})
			t.busy[id] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.busy, id)
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
