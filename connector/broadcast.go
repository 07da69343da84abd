// SPDX-License-Identifier: Apache-2.0

package connector

import "sync"

// broadcast wakes everybody who waits, any number of times.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// Wait returns a channel that the next Send closes.
func (b *broadcast) Wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// Send wakes all who wait.
func (b *broadcast) Send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
