// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"sync"
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
	send func()

	mu      sync.Mutex
	pending bool
	last    time.Time // when it was sent last
}

// A burst is sent burstLength after its first event, however many follow: a storm
// must not keep anybody from looking. But while bursts follow each other, as when
// dozens of volumes come at once, one is sent every stormLength only: else everybody
// would look for most of the time, and keep the kernel and udev from their work.
const (
	burstLength = 10 * time.Millisecond
	stormLength = 100 * time.Millisecond
)

// Event notes an event.
func (b *burst) Event() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending {
		return
	}
	b.pending = true
	time.AfterFunc(max(burstLength, stormLength-time.Since(b.last)), func() {
		b.mu.Lock()
		b.pending, b.last = false, time.Now() // first: what comes during the send is not of this burst
		b.mu.Unlock()
		b.send()
	})
}
