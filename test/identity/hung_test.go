// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"testing"
	"time"

	"github.com/mallee-io/mallee/test/hands"
)

// testHung has a LUN hang on which somebody reads, and looks at those beside it on
// the same sessions.
func testHung(t *testing.T, w *world) {
	const lun, during = 40, 6 * time.Second
	hung, other, third := w.backstore(t, "hung", slow), w.backstore(t, "other-1", slow), w.backstore(t, "other-2")
	must(t, w.san.Map(t.Context(), hung.Name, seats(lun, tags...)...))
	must(t, w.san.Map(t.Context(), other.Name, seats(lun+1, tags...)...))
	must(t, w.san.Map(t.Context(), third.Name, seats(lun+2, tags...)...))
	vh, vo, vt := volume(hung, lun), volume(other, lun+1), volume(third, lun+2)
	deviceHung, device := w.attach(t, vh).Device, w.attach(t, vo).Device

	measure := func() hands.Followed {
		var r hands.Followed
		must(t, w.reader.Call(patience(t, during+20*time.Second), hands.OpFollow, hands.Follow{Device: device, For: during}, &r))
		for _, s := range r.Spans {
			if s.Text != other.Text || s.Err != "" {
				t.Errorf("read %q, %s from the volume beside the one that hangs", s.Text, s.Err)
			}
		}
		return r
	}
	before := measure()
	must(t, w.san.Suspend(t.Context(), hung.Name))
	waiting := make(chan hands.Followed, 1)
	ctx := patience(t, time.Minute)
	go func() {
		var r hands.Followed
		_ = w.reader.Call(ctx, hands.OpFollow, hands.Follow{Device: deviceHung, For: 100 * time.Millisecond}, &r)
		waiting <- r
	}()
	kept := make(chan error, 1)
	go func() { kept <- w.node.Call(ctx, hands.OpKeep, hands.Keep{Volume: vh, For: during}, nil) }()
	during1 := measure()
	must(t, <-kept)
	// Others come and go meanwhile.
	if got := w.content(t, w.attach(t, vt).Device); got != third.Text {
		t.Errorf("a volume attached meanwhile reads %q", got)
	}
	w.detach(t, vt)
	must(t, w.san.Resume(t.Context(), hung.Name))
	if r := <-waiting; r.Max < during {
		t.Errorf("the LUN did not hang: its longest read took %v", r.Max)
	}
	t.Logf("reads beside the LUN that hangs: p50 %v, p99 %v, max %v of %d; before: p50 %v, p99 %v, max %v of %d",
		during1.P50, during1.P99, during1.Max, during1.Reads, before.P50, before.P99, before.Max, before.Reads)
	if during1.Max > during/2 {
		t.Errorf("a read beside it took %v", during1.Max)
	}
	w.detach(t, vh)
	w.detach(t, vo)
	must(t, w.san.Unmap(t.Context(), append(append(seats(lun, tags...), seats(lun+1, tags...)...), seats(lun+2, tags...)...)...))
}
