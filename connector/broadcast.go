// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"sync"
	"sync/atomic"
	"time"
)

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

// burst sends once for the events of a burst: events come in bursts, each wakes
// every volume, and one look does for all.
type burst struct {
	send    func()
	pending atomic.Bool
}

// burstLength is the time from an event until it is sent, however many follow: a
// storm of them must not keep anybody from looking.
const burstLength = 10 * time.Millisecond

// Event notes an event.
func (b *burst) Event() {
	if b.pending.CompareAndSwap(false, true) {
		time.AfterFunc(burstLength, func() {
			b.pending.Store(false) // first: what comes during the send is not of this burst
			b.send()
		})
	}
}
