// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"sync"
	"testing"
)

func TestBroadcastWakesAllWhoWait(t *testing.T) {
	var b broadcast
	b.Send() // to nobody: must not be remembered
	early, late := b.Wait(), b.Wait()
	select {
	case <-early:
		t.Fatal("woken by what was sent before")
	default:
	}
	var wg sync.WaitGroup
	for _, ch := range []<-chan struct{}{early, late, early} {
		wg.Go(func() { <-ch })
	}
	b.Send()
	wg.Wait()
	select {
	case <-b.Wait():
		t.Error("who waits after the event is woken by it")
	default:
	}
}

func TestBroadcastFromManySides(t *testing.T) {
	var b broadcast
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				ch := b.Wait()
				b.Send()
				<-ch
			}
		})
	}
	wg.Wait()
}
