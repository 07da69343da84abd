// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/san"
)

func TestVolumesKeepTheNamesThatTheyWereMadeWith(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		s := &cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(vol1), ResourcePrefix: "gold-", ResourceSuffix: ".a"}
		b.tell(s)
		b.after(5 * time.Second)
		b.tell(&cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(vol1, vol2), ResourcePrefix: "silver_"})
		for _, v := range b.after(5 * time.Second).Volumes {
			if !v.Known || !v.Present || v.Message != "" {
				t.Errorf("after the prefix was changed: %v", v)
			}
		}
		volumes, err := b.san.Volumes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names := map[mallee.VolumeID]string{}
		for _, v := range volumes {
			names[v.ID] = v.Name
		}
		if diff := cmp.Diff(map[mallee.VolumeID]string{vol1: "gold-" + vol1 + ".a", vol2: "silver_" + vol2}, names); diff != "" {
			t.Error(diff)
		}
	})
}

// Somebody else's volume has the name; the admin gives ours another one.
func TestAVolumeIsMadeWhenItsNameIsNoLongerTaken(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		if _, err := b.san.SAN.CreateVolume(t.Context(), san.VolumeSpec{ID: vol2, Name: "a-" + vol1, SizeBytes: mallee.GiB}); err != nil {
			t.Fatal(err)
		}
		b.tell(&cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(vol1), ResourcePrefix: "a-"})
		if v := b.after(5 * time.Second).Volumes[0]; v.Present || v.Failed || v.Message == "" {
			t.Errorf("while its name is taken: %v", v)
		}
		b.tell(&cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(vol1), ResourcePrefix: "b-"})
		if v := b.after(time.Minute).Volumes[0]; !v.Known || !v.Present || v.Message != "" {
			t.Errorf("with another prefix: %v", v)
		}
	})
}

func TestUserAndPasswordCountFromTheNextCallOn(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		for _, want := range []san.Login{{User: "u", Password: "p"}, {User: "u", Password: "q"}, {}} {
			b.tell(&cloudv1.PartitionState{Sanhost: "10.109.1.26", Volumes: wanted(vol1), SanUser: want.User, SanPassword: want.Password})
			if v := b.after(5 * time.Second).Volumes[0]; !v.Known {
				t.Errorf("the volume: %v", v)
			}
			if got := b.san.login(); got != want {
				t.Errorf("a call proves itself with %q, %q; want %q, %q", got.User, got.Password, want.User, want.Password)
			}
		}
		if b.opened != 1 {
			t.Errorf("the SAN was connected to %d times", b.opened)
		}
	})
}

func TestWhatTheSANAdvertisesIsReportedWhileItAnswers(t *testing.T) {
	run(t, func(t *testing.T, b *bench) {
		if diff := cmp.Diff([]string{"10.107.1.200:3260"}, b.want(wanted(vol1)).Portals); diff != "" {
			t.Error(diff)
		}
		b.san.setCut(true)
		if got := b.after(time.Minute).Portals; len(got) != 0 {
			t.Errorf("%q are told of a SAN that does not answer", got)
		}
	})
}
