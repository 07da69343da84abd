// SPDX-License-Identifier: Apache-2.0

package santest

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/san"
)

func testInfo(t *testing.T, s suite) {
	info, err := s.Info(t.Context())
	must(t, err)
	if info.Name == "" || !info.Target.Valid() || info.PoolSizeBytes == 0 || info.PoolFreeBytes > info.PoolSizeBytes {
		t.Errorf("info does not make sense: %+v", info)
	}
	v := s.volume(t)
	then, err := s.Info(t.Context())
	must(t, err)
	if then.PromisedBytes < v.SizeBytes {
		t.Errorf("%d bytes are promised, with a volume of %d", then.PromisedBytes, v.SizeBytes)
	}
	if len(info.Portals) == 0 {
		t.Error("no portals")
	}
	for _, p := range info.Portals {
		if _, err := netip.ParseAddrPort(p); err != nil {
			t.Errorf("portal: %v", err)
		}
	}
}

func testCreate(t *testing.T, s suite) {
	v := s.volume(t)
	if v.SizeBytes != mallee.GiB || !v.WWID.Valid() {
		t.Errorf("volume does not make sense: %+v", v)
	}
	equal(t, "the name of one that was given none", string(v.ID), v.Name)
	again, err := s.CreateVolume(t.Context(), san.VolumeSpec{ID: v.ID, SizeBytes: v.SizeBytes})
	must(t, err)
	equal(t, "the same call again", v, again)
	equal(t, "listed volumes", []san.Volume{v}, s.volumes(t, v.ID))
	if other := s.volume(t); other.WWID == v.WWID {
		t.Errorf("%s and %s have one WWID", v.ID, other.ID)
	}
}

func testCreateRefuses(t *testing.T, s suite) {
	v := s.volume(t)
	_, err := s.CreateVolume(t.Context(), san.VolumeSpec{ID: v.ID, SizeBytes: 2 * mallee.GiB})
	refused(t, "another size", err, mallee.Mismatch)
	equal(t, "volume after another size was refused", []san.Volume{v}, s.volumes(t, v.ID))

	info, err := s.Info(t.Context())
	must(t, err)
	tooLarge := (info.PoolSizeBytes/mallee.GiB + 1) * mallee.GiB
	id := mallee.NewVolumeID()
	_, err = s.CreateVolume(t.Context(), san.VolumeSpec{ID: id, SizeBytes: tooLarge})
	refused(t, "a size beyond the pool's", err, mallee.Exhausted)
	for _, size := range []uint64{0, 1, mallee.GiB + 512} {
		_, err = s.CreateVolume(t.Context(), san.VolumeSpec{ID: id, SizeBytes: size})
		refused(t, "an odd size", err, mallee.Invalid)
	}
	equal(t, "volumes after refusals", 0, len(s.volumes(t, id)))
	for _, bad := range []mallee.VolumeID{"", "vol-", "vol-XYZ", "../vol-1a2b3c4d", "-vol-1a2b3c4d"} {
		_, err = s.CreateVolume(t.Context(), san.VolumeSpec{ID: bad, SizeBytes: mallee.GiB})
		refused(t, "id "+string(bad), err, mallee.Invalid)
	}
}

func testNames(t *testing.T, s suite) {
	id := mallee.NewVolumeID()
	spec := san.VolumeSpec{ID: id, Name: "pre_" + string(id) + ".suf", SizeBytes: mallee.GiB}
	s.removeLater(t, id)
	v, err := s.CreateVolume(t.Context(), spec)
	must(t, err)
	equal(t, "its name", spec.Name, v.Name)
	for _, other := range []string{"", "other-" + string(id), string(id)} {
		again, err := s.CreateVolume(t.Context(), san.VolumeSpec{ID: id, Name: other, SizeBytes: mallee.GiB})
		must(t, err)
		equal(t, "the volume when it is made again as "+other, v, again)
	}
	equal(t, "listed volumes", []san.Volume{v}, s.volumes(t, id))

	other := mallee.NewVolumeID()
	s.removeLater(t, other)
	_, err = s.CreateVolume(t.Context(), san.VolumeSpec{ID: other, Name: spec.Name, SizeBytes: mallee.GiB})
	refused(t, "the name of another volume", err, mallee.InUse)
	for _, bad := range []string{"-" + string(other), "a/" + string(other), "a b", string(other) + ";reboot", strings.Repeat("x", 300)} {
		_, err = s.CreateVolume(t.Context(), san.VolumeSpec{ID: other, Name: bad, SizeBytes: mallee.GiB})
		refused(t, "the name "+bad, err, mallee.Invalid)
	}
	equal(t, "volumes after refusals", 0, len(s.volumes(t, other)))
	equal(t, "the volume after refusals", []san.Volume{v}, s.volumes(t, id))

	e := s.export(t, id, initiatorA)
	equal(t, "the identity that is exported", v.WWID, e.WWID)
	must(t, s.Unexport(t.Context(), id, initiatorA, 0))
	grown, err := s.ResizeVolume(t.Context(), id, 2*mallee.GiB)
	must(t, err)
	equal(t, "its name when it has grown", spec.Name, grown.Name)
	must(t, s.DeleteVolume(t.Context(), id))
	_, err = s.CreateVolume(t.Context(), san.VolumeSpec{ID: other, Name: spec.Name, SizeBytes: mallee.GiB})
	must(t, err) // The name is free again.
}

func testResize(t *testing.T, s suite) {
	v := s.volume(t)
	e := s.export(t, v.ID, initiatorA)
	want := v
	want.SizeBytes = 2 * mallee.GiB
	// The second is the same again, the third would make it smaller.
	for _, size := range []uint64{2 * mallee.GiB, 2 * mallee.GiB, mallee.GiB} {
		got, err := s.ResizeVolume(t.Context(), v.ID, size)
		must(t, err)
		equal(t, "the volume that has grown", want, got)
	}
	equal(t, "listed volumes", []san.Volume{want}, s.volumes(t, v.ID))
	equal(t, "its exports", []san.Export{{VolumeID: v.ID, Initiator: initiatorA, Export: e}}, s.exports(t, v.ID))
}

func testResizeRefuses(t *testing.T, s suite) {
	v := s.volume(t)
	info, err := s.Info(t.Context())
	must(t, err)
	_, err = s.ResizeVolume(t.Context(), v.ID, (info.PoolSizeBytes/mallee.GiB+1)*mallee.GiB)
	refused(t, "a size beyond the pool's", err, mallee.Exhausted)
	for _, size := range []uint64{0, 1, mallee.GiB + 512} {
		_, err = s.ResizeVolume(t.Context(), v.ID, size)
		refused(t, "an odd size", err, mallee.Invalid)
	}
	equal(t, "the volume after refusals", []san.Volume{v}, s.volumes(t, v.ID))
	_, err = s.ResizeVolume(t.Context(), mallee.NewVolumeID(), 2*mallee.GiB)
	refused(t, "a volume that is not there", err, mallee.NotFound)
}

func testDelete(t *testing.T, s suite) {
	v := s.volume(t)
	s.export(t, v.ID, initiatorA)
	refused(t, "deletion of an exported volume", s.DeleteVolume(t.Context(), v.ID), mallee.InUse)
	equal(t, "volumes after the refusal", 1, len(s.volumes(t, v.ID)))
	must(t, s.Unexport(t.Context(), v.ID, initiatorA, 0))
	must(t, s.DeleteVolume(t.Context(), v.ID))
	equal(t, "volumes after deletion", 0, len(s.volumes(t, v.ID)))
	must(t, s.DeleteVolume(t.Context(), v.ID))
}
