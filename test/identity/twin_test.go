// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/test/target"
)

// testTwins has an array give one identity to two LUNs. multipathd takes any disk for
// a path that says so.
func testTwins(t *testing.T, w *world) {
	const lun = 20
	a := w.backstore(t, "original")
	twin := w.backstore(t, "twin", func(b *target.Backstore) { b.Serial = a.Serial[:25] + "7777777" })
	must(t, w.san.Map(t.Context(), a.Name, seats(lun, tags...)...))
	must(t, w.san.Map(t.Context(), twin.Name, seats(lun+1, tags...)...))
	v := volume(a, lun)
	device := w.attach(t, v).Device
	seen := w.watch(t, v, device, 6*time.Second, func() {
		time.Sleep(time.Second)
		w.scan(t, lun+1) // another tool rescans
	})
	wrong, window := seen.reads.Total(twin.Text)
	t.Logf("%d of %d reads met the twin, over %v", wrong, seen.reads.Reads, window)
	if last := seen.reads.Spans[len(seen.reads.Spans)-1]; last.Text != a.Text {
		t.Errorf("the last reads have found %q, %s", last.Text, last.Err)
	}
	if got := w.disksIn(t, a); len(strings.Fields(got)) != len(portals) || got != w.disksWith(t, a.WWID()) {
		t.Errorf("the map holds %s; disks with its identity are %s", got, w.disksWith(t, a.WWID()))
	}
	named := false
	for _, s := range seen.sights {
		for _, p := range s.Status.Paths {
			named = named || p.State == connector.PathQuarantined && strings.Contains(p.Reason, "LUN 21")
		}
	}
	if !named {
		t.Errorf("no status names the twin; last: %v", describe(seen.sights[len(seen.sights)-1].Status))
	}
	w.keep(t, v, func(s connector.Status) bool { return s.Up() == len(portals) })
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), append(seats(lun, tags...), seats(lun+1, tags...)...)...))

	// And once behind the same number of another portal, which comes when the volume is
	// in use over the others.
	must(t, w.san.Map(t.Context(), a.Name, seats(lun, 1, 3, 4)...))
	w.keep(t, v, func(s connector.Status) bool { return s.Up() == 3 })
	must(t, w.san.Map(t.Context(), twin.Name, seats(lun, 2)...))
	status := w.keep(t, v, func(s connector.Status) bool { return s.Paths[1].State == connector.PathQuarantined })
	if !strings.Contains(status.Paths[1].Reason, twin.Serial) || status.Up() != 3 {
		t.Errorf("the twin behind another portal is told as %v", describe(status))
	}
	if got := w.content(t, status.Device); got != a.Text {
		t.Errorf("the device reads %q", got)
	}
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}
