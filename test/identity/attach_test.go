// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/test/scenario"
)

func testWrongAtAttach(t *testing.T, w *world) {
	const lun = 1
	good, other := w.backstore(t, "good"), w.backstore(t, "other")
	must(t, w.san.Map(t.Context(), good.Name, seats(lun, 1, 3, 4)...))
	must(t, w.san.Map(t.Context(), other.Name, seats(lun, 2)...))
	v := volume(good, lun)
	s := w.keep(t, v, func(s connector.Status) bool {
		return s.Ready && s.Up() == 3 && s.Paths[1].State == connector.PathQuarantined
	})
	if reason := s.Paths[1].Reason; !strings.Contains(reason, other.WWID()) || !strings.Contains(reason, good.WWID()) {
		t.Errorf("the reason %q does not name both identities", reason)
	}
	if s.Paths[1].Disk != "" {
		t.Errorf("the refused disk %s is still there", s.Paths[1].Disk)
	}
	if got := w.disksWith(t, other.WWID()); got != "" {
		t.Errorf("%s has the other identity and is still there", got)
	}
	if got := w.content(t, s.Device); got != good.Text {
		t.Errorf("the device reads %q", got)
	}
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}

// testReused has the disks of a former volume stay behind when their LUN becomes
// another's: once as a crash leaves them, in no map, and once under a volume that is
// attached still.
func testReused(t *testing.T, w *world) {
	const lun = 5
	a, b, c := w.backstore(t, "former"), w.backstore(t, "latter"), w.backstore(t, "third")
	must(t, w.san.Map(t.Context(), a.Name, seats(lun, tags...)...))
	va, vb, vc := volume(a, lun), volume(b, lun), volume(c, lun)
	w.attach(t, va)
	w.detach(t, va)
	w.scan(t, lun)
	if got := w.disksWith(t, a.WWID()); len(strings.Fields(got)) != len(portals) {
		t.Fatalf("the former volume's disks are %q", got)
	}

	must(t, w.san.Swap(t.Context(), b.Name, seats(lun, tags...)...))
	device := w.attach(t, vb).Device
	w.isOnly(t, device, b, a)

	// Now without waiting until the node has let go of it.
	must(t, w.san.Swap(t.Context(), c.Name, seats(lun, tags...)...))
	device = w.attach(t, vc).Device
	w.isOnly(t, device, c, b)
	must(t, scenario.Eventually(patience(t, 10*time.Second), 100*time.Millisecond, func() (bool, error) {
		got := w.disksIn(t, b)
		return got == "", errors.New("the map of the volume whose LUN was taken still holds " + got)
	}))
	w.detach(t, vb)
	w.isOnly(t, device, c, b)
	w.detach(t, vc)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}
