// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
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

func TestABurstIsSentOnceAndAStormNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan time.Time, 1000)
		b := burst{send: func() { sent <- time.Now() }}
		start := time.Now()
		for range 50 {
			b.Event()
		}
		time.Sleep(time.Second)
		if at := <-sent; at.Sub(start) != burstLength || len(sent) > 0 {
			t.Errorf("a burst is sent after %v, and %d times more, want once after %v", at.Sub(start), len(sent), burstLength)
		}
		last := time.Now()
		for range 1000 {
			b.Event()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(stormLength)
		if n := len(sent); n == 0 || n > 11 {
			t.Errorf("a storm of a second is sent %d times", n)
		}
		for len(sent) > 0 {
			at := <-sent
			if at.Sub(last) > stormLength+time.Millisecond {
				t.Errorf("in a storm nothing is sent for %v", at.Sub(last))
			}
			last = at
		}
	})
}
