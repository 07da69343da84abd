// SPDX-License-Identifier: Apache-2.0

package sp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"

	spv1 "github.com/mallee-io/mallee/api/sp/v1"
)

// asked returns the password that the kernel asks an initiator for.
func (m *machine) asked(t *testing.T, initiator string) string {
	t.Helper()
	password, err := m.kernel.Read("iscsi/iqn.2026-11.io.mallee:san1/tpgt_1/acls/" + initiator + "/auth/password")
	if err != nil {
		t.Fatal(err)
	}
	return password
}

func TestTheLatestSecretOfAnInitiatorHolds(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	create(t, s, vol2)
	export(t, s, vol1, nc1)
	export(t, s, vol1, nc2)
	if _, err := s.ExportVolume(t.Context(), &spv1.ExportVolumeRequest{VolumeId: vol2, Initiator: nc1, Chap: chap("another-password")}); err != nil {
		t.Fatal(err)
	}
	want := exports(t, s)
	for _, after := range []string{"the call", "a kill of the process", "a reboot"} {
		switch after {
		case "a reboot":
			m.reboot()
			fallthrough
		case "a kill of the process":
			s = m.start(t)
		}
		if got := m.asked(t, nc1); got != "another-password" {
			t.Errorf("after %s the kernel asks nc1 for %q", after, got)
		}
		if got := m.asked(t, nc2); got != password {
			t.Errorf("after %s the kernel asks nc2 for %q", after, got)
		}
		if diff := cmp.Diff(want, exports(t, s), protocmp.Transform()); diff != "" {
			t.Errorf("after %s: %s", after, diff)
		}
	}
}

func TestAnExportWithoutASecretIsRefused(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	for name, c := range map[string]*spv1.Chap{"none": nil, "empty": {}, "no password": {Username: "nc1"}, "short": chap("eleven-char")} {
		_, err := s.ExportVolume(t.Context(), &spv1.ExportVolumeRequest{VolumeId: vol1, Initiator: nc1, Chap: c})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "CHAP") {
			t.Errorf("%s: error %v, want InvalidArgument", name, err)
		}
	}
	if got := exports(t, s); len(got) != 0 {
		t.Errorf("exports %v", got)
	}
	if e := export(t, s, vol1, nc1); e.GetLun() != 1 {
		t.Errorf("LUN %d, want 1: a refusal takes none", e.GetLun())
	}
}

func TestASecretIsToldToNobody(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	told := prototext.Format(export(t, s, vol1, nc1))
	list, err := s.ListExports(t.Context(), &spv1.ListExportsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	told += prototext.Format(list)
	m.kernel.Device = func(string) bool { return false }
	m.reboot()
	s = m.start(t) // The export cannot be restored, nor made again.
	if _, err = s.ExportVolume(t.Context(), &spv1.ExportVolumeRequest{VolumeId: vol1, Initiator: nc1, Chap: chap(password)}); err == nil {
		t.Fatal("no error")
	}
	if told += err.Error() + m.log.String(); strings.Contains(told, password) {
		t.Errorf("the password is told in:\n%s", told)
	}
	unexport(t, s, vol1, nc1)
	if cache, err := os.ReadFile(filepath.Join(m.stateDir, "exports.json")); err != nil || strings.Contains(string(cache), password) {
		t.Errorf("the password is kept with no export left: %s, %v", cache, err)
	}
}

// The first version of the file had no secrets.
func TestAnExportOfAnOldFileWaitsForItsSecret(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	old := `{"version":1,"exports":[{"volume_id":"` + vol1 + `","initiator":"` + nc1 + `","lun":9}]}`
	if err := os.WriteFile(filepath.Join(m.stateDir, "exports.json"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	m.reboot()
	s = m.start(t)
	if got := exports(t, s); len(got) != 0 {
		t.Errorf("exports %v, want none, so that it is asked for again", got)
	}
	if got := m.asked(t, nc1); got != "" {
		t.Errorf("the kernel asks for %q", got)
	}
	if e := export(t, s, vol1, nc1); e.GetLun() != 9 {
		t.Errorf("LUN %d, want 9 as before", e.GetLun())
	}
	if got := m.asked(t, nc1); got != password {
		t.Errorf("the kernel asks for %q", got)
	}
}
