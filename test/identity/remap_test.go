// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"testing"
	"time"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/test/hands"
	"github.com/mallee-io/mallee/test/target"
)

// watched is what was seen of a volume while the array did something to it.
type watched struct {
	sights []hands.Sight
	reads  hands.Followed
}

// watch repairs v and reads from device for a time, and meanwhile does something.
func (w *world) watch(t *testing.T, v hands.Volume, device string, during time.Duration, do func()) watched {
	t.Helper()
	var seen watched
	kept, followed := make(chan error, 1), make(chan error, 1)
	ctx := patience(t, during+30*time.Second)
	go func() { kept <- w.node.Call(ctx, hands.OpKeep, hands.Keep{Volume: v, For: during}, &seen.sights) }()
	go func() {
		followed <- w.reader.Call(ctx, hands.OpFollow, hands.Follow{Device: device, For: during, Pause: time.Millisecond}, &seen.reads)
	}()
	do()
	must(t, <-kept)
	must(t, <-followed)
	return seen
}

// since returns how long after at the first sight came that ok holds for.
func (s watched) since(at time.Time, ok func(connector.Status) bool) (time.Duration, bool) {
	for _, sight := range s.sights {
		if ok(sight.Status) && sight.At.After(at) {
			return sight.At.Sub(at), true
		}
	}
	return 0, false
}

func testRemapOne(t *testing.T, w *world) {
	const lun = 10
	a, b := w.backstore(t, "mine"), w.backstore(t, "foreign")
	must(t, w.san.Map(t.Context(), a.Name, seats(lun, tags...)...))
	v := volume(a, lun)
	device := w.attach(t, v).Device
	var swapped time.Time
	seen := w.watch(t, v, device, 24*time.Second, func() {
		time.Sleep(time.Second) // the readings begin
		must(t, w.san.Swap(t.Context(), b.Name, seats(lun, 2)...))
		swapped = time.Now()
	})
	took, ok := seen.since(swapped, func(s connector.Status) bool { return s.Paths[1].State == connector.PathQuarantined })
	if !ok {
		t.Fatalf("the path was not put into quarantine; last: %v", describe(seen.sights[len(seen.sights)-1].Status))
	}
	wrong, window := seen.reads.Total(b.Text)
	t.Logf("quarantine reported %v after the swap; %d of %d reads met the other disk, over %v; longest read %v",
		took, wrong, seen.reads.Reads, window, seen.reads.Max)
	w.assertEndsRight(t, seen, a)
	must(t, w.san.Swap(t.Context(), a.Name, seats(lun, 2)...))
	w.keep(t, v, func(s connector.Status) bool { return s.Up() == len(portals) })
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}

// assertEndsRight asserts that the volume was read from to the end of the watch, and
// that nothing but its own data was read since quarantine was reported.
func (w *world) assertEndsRight(t *testing.T, seen watched, b target.Backstore) {
	t.Helper()
	var quarantined time.Time
	for _, s := range seen.sights {
		for _, p := range s.Status.Paths {
			if p.State == connector.PathQuarantined && quarantined.IsZero() {
				quarantined = s.At
			}
		}
	}
	for _, s := range seen.reads.Spans {
		if s.Err != "" {
			t.Errorf("%d reads failed: %s", s.Reads, s.Err)
		}
		if s.Until.After(quarantined) && s.Err == "" && s.Text != b.Text {
			t.Errorf("%q was read %v after quarantine was reported", s.Text, s.Until.Sub(quarantined))
		}
	}
	if last := seen.reads.Spans[len(seen.reads.Spans)-1]; last.Text != b.Text {
		t.Errorf("the last reads have found %q, %s", last.Text, last.Err)
	}
}

func testRemapAll(t *testing.T, w *world) {
	const lun = 11
	a, b := w.backstore(t, "whole"), w.backstore(t, "strange")
	must(t, w.san.Map(t.Context(), a.Name, seats(lun, tags...)...))
	v := volume(a, lun)
	device := w.attach(t, v).Device
	var swapped, failed time.Time
	seen := w.watch(t, v, device, 26*time.Second, func() {
		time.Sleep(time.Second)
		must(t, w.san.Swap(t.Context(), b.Name, seats(lun, tags...)...))
		swapped = time.Now()
		time.Sleep(23 * time.Second)
		failed = time.Now()
		w.sh(t, `dmsetup message "$1" 0 fail_if_no_path`, a.WWID()) // or the reader would wait
	})
	took, ok := seen.since(swapped, func(s connector.Status) bool {
		for _, p := range s.Paths {
			if p.State != connector.PathQuarantined {
				return false
			}
		}
		return true
	})
	if !ok {
		t.Fatalf("not all paths were put into quarantine; last: %v", describe(seen.sights[len(seen.sights)-1].Status))
	}
	wrong, window := seen.reads.Total(b.Text)
	t.Logf("quarantine of all reported %v after the swap; %d of %d reads met the other disk, over %v", took, wrong, seen.reads.Reads, window)
	for _, s := range seen.reads.Spans {
		if s.Text == b.Text && s.Err == "" && s.Until.After(swapped.Add(took)) {
			t.Errorf("the other disk was read %v after all paths were in quarantine", s.Until.Sub(swapped.Add(took)))
		}
		if s.Err != "" && s.Until.Before(failed) {
			t.Errorf("a read failed, %s, before queueing was ended", s.Err)
		}
	}
	last := seen.sights[len(seen.sights)-1].Status
	if last.Ready || last.Device != "" && last.Up() > 0 {
		t.Errorf("the volume is handed out still: %v", describe(last))
	}
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}

// testSwapWhileDown has a path come back that leads to another disk by then: iscsid
// and multipathd take it back by themselves.
func testSwapWhileDown(t *testing.T, w *world) {
	const lun, address = 12, "10.107.1.201"
	a, b := w.backstore(t, "before"), w.backstore(t, "after")
	must(t, w.san.Map(t.Context(), a.Name, seats(lun, tags...)...))
	v := volume(a, lun)
	device := w.attach(t, v).Device
	var healed time.Time
	seen := w.watch(t, v, device, 25*time.Second, func() {
		must(t, w.lab.Cut(t.Context(), address))
		time.Sleep(9 * time.Second)
		begun := time.Now()
		must(t, w.san.Swap(t.Context(), b.Name, seats(lun, 2)...))
		t.Logf("the array took %v for the change", time.Since(begun))
		must(t, w.lab.Heal(t.Context(), address))
		healed = time.Now()
	})
	took, ok := seen.since(healed, func(s connector.Status) bool { return s.Paths[1].State == connector.PathQuarantined })
	if !ok {
		t.Fatalf("the path was not put into quarantine; last: %v", describe(seen.sights[len(seen.sights)-1].Status))
	}
	wrong, window := seen.reads.Total(b.Text)
	t.Logf("quarantine reported %v after the path healed; %d of %d reads met the other disk, over %v; longest read %v",
		took, wrong, seen.reads.Reads, window, seen.reads.Max)
	w.assertEndsRight(t, seen, a)
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}
