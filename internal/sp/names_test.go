// SPDX-License-Identifier: Apache-2.0

package sp_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
)

func createAs(t *testing.T, m *machine, name string) error {
	t.Helper()
	_, err := m.start(t).CreateVolume(t.Context(), &spv1.CreateVolumeRequest{VolumeId: vol1, Name: name, SizeBytes: mallee.GiB})
	return err
}

func TestAVolumeIsExportedByIDWhateverItsName(t *testing.T) {
	m := newMachine(t)
	if err := createAs(t, m, "gold_"+vol1+".prod"); err != nil {
		t.Fatal(err)
	}
	s := m.start(t)
	want := []*spv1.Export{export(t, s, vol1, nc1)}
	const backstore = "core/iblock_7000/" + vol1
	if device, err := m.kernel.Read(backstore + "/control"); err != nil || device != "/dev/pool/gold_"+vol1+".prod" {
		t.Errorf("the device is %q, %v", device, err)
	}
	if serial, err := m.kernel.Read(backstore + "/wwn/vpd_unit_serial"); err != nil || !strings.Contains(serial, "1a2b3c4d") {
		t.Errorf("the serial is %q, %v", serial, err)
	}
	m.reboot()
	s = m.start(t)
	if diff := cmp.Diff(want, exports(t, s), protocmp.Transform()); diff != "" {
		t.Errorf("after a reboot: %s", diff)
	}
	if got := m.pool.Activations(); got != 1 {
		t.Errorf("lvm ran %d times to activate one volume", got)
	}
	unexport(t, s, vol1, nc1)
	if _, err := s.DeleteVolume(t.Context(), &spv1.DeleteVolumeRequest{VolumeId: vol1}); err != nil {
		t.Error(err)
	}
}

func TestANameThatSomethingElseHasIsLeftToIt(t *testing.T) {
	m := newMachine(t)
	m.pool.CreateForeign("gold_" + vol1)
	err := createAs(t, m, "gold_"+vol1)
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "gold_"+vol1) {
		t.Errorf("error %v, want one that names the name", err)
	}
	r, err := m.start(t).ListVolumes(t.Context(), &spv1.ListVolumesRequest{})
	if err != nil || len(r.GetVolumes()) != 0 {
		t.Errorf("volumes %v, %v", r.GetVolumes(), err)
	}
	if err := createAs(t, m, "silver_"+vol1); err != nil {
		t.Errorf("under another name: %v", err)
	}
}
