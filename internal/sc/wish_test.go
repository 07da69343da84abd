// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"testing"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

func TestAVolumeGrows(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.want(wanted(vol1))
		grown := wanted(vol1)
		grown[0].SizeBytes, grown[0].GrowToBytes = 0, 2*mallee.GiB
		for range 2 {
			if v := b.want(grown).Volumes[0]; !v.Known || v.SizeBytes != 2*mallee.GiB || v.Failed || v.Message != "" {
				t.Errorf("after the wish that it grow: %v", v)
			}
		}
		grown[0].GrowToBytes = 0
		if v := b.want(grown).Volumes[0]; !v.Known || v.SizeBytes != 2*mallee.GiB {
			t.Errorf("after the wish was fulfilled: %v", v)
		}
	})
}

func TestAVolumeThatCannotGrowIsOfUseAllTheSame(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.want(wanted(vol1))
		wish := wanted(vol1)
		wish[0].SizeBytes, wish[0].GrowToBytes = 0, 1000*mallee.GiB
		for range 2 {
			if v := b.want(wish).Volumes[0]; !v.Known || !v.Present || v.SizeBytes != mallee.GiB || !v.Failed || v.Message == "" {
				t.Errorf("after a wish that the pool cannot hold: %v", v)
			}
		}
		wish[0].GrowToBytes = 3 * mallee.GiB
		if v := b.want(wish).Volumes[0]; v.SizeBytes != 3*mallee.GiB || v.Failed || v.Message != "" {
			t.Errorf("after a smaller wish: %v", v)
		}
	})
}

func TestGrowthIsTriedAgainWhenTheSANWasAway(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		b.want(wanted(vol1))
		wish := wanted(vol1)
		wish[0].GrowToBytes = 2 * mallee.GiB
		b.san.setCut(true)
		if v := b.want(wish).Volumes[0]; v.Known || v.Failed {
			t.Errorf("while the SAN is away: %v", v)
		}
		b.san.setCut(false)
		if v := b.after(10 * time.Second).Volumes[0]; v.SizeBytes != 2*mallee.GiB {
			t.Errorf("after it came back: %v", v)
		}
	})
}

func exported(password string, ids ...string) []*cloudv1.DesiredExport {
	var list []*cloudv1.DesiredExport
	for _, id := range ids {
		list = append(list, &cloudv1.DesiredExport{
			VolumeId: id, InstanceId: "i-00000001", Initiator: node, Wanted: true,
			Chap: &cloudv1.Chap{Username: "nc1", Password: password},
		})
	}
	return list
}

func TestTheSANIsToldTheSecretOnceAndWhenItChanges(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		for _, password := range []string{"first-password", "second-password"} {
			for range 2 {
				for _, e := range b.want(wanted(vol1, vol2), exported(password, vol1, vol2)...).Exports {
					if !e.Known || !e.Present || e.Message != "" {
						t.Errorf("reported as %v", e)
					}
				}
			}
			if got := b.san.CHAP(node); got.Password != password {
				t.Errorf("the SAN asks for %q, want %q", got.Password, password)
			}
		}
		// Both when they were made, one of them when the secret changed.
		if b.san.exported != 3 {
			t.Errorf("Export was called %d times, want 3", b.san.exported)
		}
		// Another storage controller may have told it otherwise meanwhile.
		close(b.lost)
		b.lost = make(chan struct{})
		b.want(wanted(vol1, vol2), exported("second-password", vol1, vol2)...)
		if b.san.exported != 4 {
			t.Errorf("Export was called %d times after a new stream, want 4", b.san.exported)
		}
	})
}
