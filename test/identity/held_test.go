// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mallee-io/mallee/connector"
)

// testForeignMap has other tools hold two of the four paths: a linear map, and a
// multipath map with a UUID of its own.
func testForeignMap(t *testing.T, w *world) {
	const lun = 30
	b := w.backstore(t, "held")
	must(t, w.san.Map(t.Context(), b.Name, seats(lun, tags...)...))
	w.scan(t, lun)
	const hold = `
set -- $1
size=$(cat /sys/block/$1/size)
dmsetup create theirs1 --table "0 $size linear /dev/$1 0"
dmsetup create theirs2 -u theirs-2 --table "0 $size multipath 0 0 1 1 service-time 0 1 1 $(cat /sys/block/$2/dev) 1"
udevadm settle`
	const table = `dmsetup table theirs1; dmsetup table theirs2; dmsetup info -c --noheadings -o uuid theirs1 theirs2`
	held := strings.Fields(w.disksWith(t, b.WWID()))[:2]
	w.sh(t, hold, strings.Join(held, " "))
	before := w.sh(t, table)

	v := volume(b, lun)
	s := w.keep(t, v, func(s connector.Status) bool {
		refused := 0
		for _, p := range s.Paths {
			if p.State == connector.PathQuarantined {
				refused++
			}
		}
		return s.Ready && s.Up() == 2 && refused == 2
	})
	for _, p := range s.Paths {
		if p.State == connector.PathQuarantined && (!strings.Contains(p.Reason, "not this volume's map") || !strings.Contains(strings.Join(held, " "), p.Disk)) {
			t.Errorf("the path that is held is told as %+v", p)
		}
	}
	if got := w.content(t, s.Device); got != b.Text {
		t.Errorf("the device reads %q", got)
	}
	if got := w.sh(t, table); got != before {
		t.Errorf("the others' maps were\n%s\nand are\n%s", before, got)
	}
	w.sh(t, "dmsetup remove theirs1; dmsetup remove theirs2")
	w.keep(t, v, func(s connector.Status) bool { return s.Up() == len(portals) })
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}

// testHighLUN attaches LUNs that take more than a byte, as far as an initiator may
// number them with 14 bits (SAM-5 §4.7.7.3).
func testHighLUN(t *testing.T, w *world) {
	for _, lun := range []uint16{256, 300, 16383} {
		b := w.backstore(t, fmt.Sprint("high-", lun))
		must(t, w.san.Map(t.Context(), b.Name, seats(lun, tags...)...))
		v := volume(b, lun)
		s := w.attach(t, v)
		if got := w.content(t, s.Device); got != b.Text {
			t.Errorf("LUN %d reads %q", lun, got)
		}
		t.Logf("LUN %d: the kernel has it at %s", lun, w.sh(t, "basename $(readlink /sys/block/$1/device)", s.Paths[0].Disk))
		w.detach(t, v)
		if got := w.disksWith(t, b.WWID()); got != "" {
			t.Errorf("LUN %d: %s are left", lun, got)
		}
		must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
	}
}
