// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"testing"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

func TestALUNIsReleasedWithWhatTheNodeHasLetGoOf(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		d := &cloudv1.DesiredExport{VolumeId: vol1, Initiator: node, Generation: 3, Wanted: true}
		e := b.want(wanted(vol1), d).Exports[0].Export
		elsewhere := &cloudv1.Export{Target: "iqn.2026-11.io.mallee:other", Lun: e.Lun, Wwid: e.Wwid}
		for _, tt := range []struct {
			name  string
			letGo *cloudv1.Export
			kept  int
		}{
			{"nothing", nil, 1},
			{"the same LUN of another SAN", elsewhere, 1},
			{"this one", e, 0},
		} {
			d.Wanted, d.Export = true, nil
			if again := b.want(wanted(vol1), d).Exports[0].Export; again.GetLun() != e.GetLun() {
				t.Errorf("exported again as LUN %d, want %d, which is kept for it", again.GetLun(), e.GetLun())
			}
			d.Wanted, d.Export = false, tt.letGo
			r := b.want(wanted(vol1), d)
			if x := r.Exports[0]; !x.Known || x.Present {
				t.Errorf("%s is let go of: %v, want that it is gone", tt.name, x)
			}
			if len(r.Retired) != tt.kept {
				t.Errorf("%s is let go of: the SAN keeps %v, want %d", tt.name, r.Retired, tt.kept)
			}
		}
	})
}

// The cloud names a former export by what the storage controller has told of it, once
// the node has let go.
func TestAKeptLUNIsReleasedLater(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		d := &cloudv1.DesiredExport{VolumeId: vol1, Initiator: node, Generation: 3, Wanted: true}
		b.want(wanted(vol1), d)
		d.Wanted = false
		b.want(wanted(vol1), d)
		kept := b.want(nil).Retired
		if len(kept) != 1 || kept[0].VolumeId != vol1 || kept[0].Initiator != node || kept[0].Export.GetLun() == 0 {
			t.Fatalf("reported as kept: %v", kept)
		}
		r := b.want(nil, &cloudv1.DesiredExport{VolumeId: vol1, Initiator: node, Generation: 1 << 40, Export: kept[0].Export})
		if len(r.Retired) != 0 || !r.Exports[0].Known || r.Exports[0].Present {
			t.Errorf("after the release: kept %v, export %v", r.Retired, r.Exports[0])
		}
	})
}

func TestASANThatForgotIsToldWhatNodesHold(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		first := &cloudv1.DesiredExport{VolumeId: vol1, Initiator: node, Generation: 3, Wanted: true}
		first.Export = b.want(wanted(vol1, vol2), first).Exports[0].Export

		b.san.SAN = newSAN().SAN // one of the same name, with nothing on it
		second := &cloudv1.DesiredExport{VolumeId: vol2, Initiator: node, Generation: 1, Wanted: true}
		r := b.want(wanted(vol2), first, second)
		if got := r.Exports[1].Export; got.GetLun() == first.Export.GetLun() || got == nil {
			t.Errorf("%s is exported as %v, and the node may hold %s at LUN %d", vol2, got, vol1, first.Export.GetLun())
		}
		r = b.want(wanted(vol1, vol2), first, second)
		if got := r.Exports[0].Export.GetLun(); got != first.Export.GetLun() {
			t.Errorf("%s is LUN %d now, and the node was told %d", vol1, got, first.Export.GetLun())
		}
	})
}
