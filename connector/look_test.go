// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watched returns looks that take a second each, and how many there were.
func watched(listening bool) (l *looks, taken func() int) {
	var n atomic.Int32
	l = newLooks(func() (*view, error) {
		n.Add(1)
		time.Sleep(time.Second)
		return &view{}, nil
	})
	l.listen(listening)
	return l, func() int { return int(n.Load()) }
}

func get(t *testing.T, l *looks) *view {
	t.Helper()
	v, err := l.get(t.Context())
	if err != nil {
		t.Error(err)
	}
	return v
}

func TestAViewIsGoodUntilSomethingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, taken := watched(true)
		first := get(t, l)
		time.Sleep(viewFor / 2)
		if get(t, l) != first || taken() != 1 {
			t.Errorf("%d looks at a machine on which nothing happens", taken())
		}
		l.changed()
		if get(t, l) == first || taken() != 2 {
			t.Errorf("%d looks after a change, want another", taken())
		}
		time.Sleep(viewFor)
		if get(t, l); taken() != 3 {
			t.Errorf("%d looks, want another after %s", taken(), viewFor)
		}
	})
}

func TestAHundredWhoLookAtOnceLookOnceTogether(t *testing.T) {
	for _, listening := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l, taken := watched(listening)
			var all sync.WaitGroup
			all.Go(func() { get(t, l) })
			time.Sleep(time.Second / 2) // that one looks
			l.changed()
			for range 100 {
				all.Go(func() { get(t, l) })
			}
			all.Wait()
			if taken() != 2 {
				t.Errorf("listening %t: %d looks, want the one that ran and one for all that came during it", listening, taken())
			}
		})
	}
}

// What began before a change may have passed by what has changed.
func TestALookThatRunsIsNotForWhoComesAfterAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := watched(true)
		old := make(chan *view, 1)
		go func() { old <- get(t, l) }()
		synctest.Wait()
		l.changed()
		if get(t, l) == <-old {
			t.Error("both have the same view")
		}
	})
}

func TestWithoutEventsEachCallLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, taken := watched(false)
		for range 3 {
			get(t, l)
		}
		if taken() != 3 {
			t.Errorf("%d looks for 3 calls", taken())
		}
	})
}

func TestALookThatFailsIsTakenAgain(t *testing.T) {
	l := newLooks(func() (*view, error) { return nil, errors.New("the kernel does not answer") })
	l.listen(true)
	if _, err := l.get(t.Context()); err == nil {
		t.Error("no error")
	}
	l.take = func() (*view, error) { return &view{}, nil }
	if _, err := l.get(t.Context()); err != nil {
		t.Error(err)
	}
}

// multipathd comes back without an event, and who waits for it must find out.
func TestAViewWithoutMultipathdIsGoodForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooks(func() (*view, error) { return &view{daemon: errors.New("multipathd does not answer")}, nil })
		l.listen(true)
		get(t, l)
		l.take = func() (*view, error) { return &view{}, nil }
		if get(t, l).daemon == nil {
			t.Error("looked again at once")
		}
		time.Sleep(retryInterval)
		if err := get(t, l).daemon; err != nil {
			t.Errorf("a call that tries again %s later is still told that %v", retryInterval, err)
		}
	})
}

// Whoever is alone does not wait for the time that the former looks have taken; a
// storm leaves the machine half of its time.
func TestLooksTakeHalfOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 20 * time.Millisecond
		l := newLooks(func() (*view, error) {
			time.Sleep(takes)
			return &view{}, nil
		})
		l.listen(true)
		some := func(n int) time.Duration {
			begin := time.Now()
			for range n {
				l.changed()
				get(t, l)
			}
			return time.Since(begin)
		}
		if took := some(5); took != 5*takes {
			t.Errorf("five looks of %v in a row took %v", takes, took)
		}
		if took := some(100); took < 190*takes || took > 210*takes {
			t.Errorf("a hundred more took %v", took)
		}
		time.Sleep(burstTakes)
		if took := some(3); took != 3*takes {
			t.Errorf("%v after the storm three took %v", burstTakes, took)
		}
	})
}
