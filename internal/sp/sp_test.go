// SPDX-License-Identifier: Apache-2.0

package sp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/lio/liotest"
	"github.com/mallee-io/mallee/internal/lvm/lvmtest"
	"github.com/mallee-io/mallee/internal/sp"
	"github.com/mallee-io/mallee/internal/telemetry"
)

const (
	vol1 = "vol-1a2b3c4d"
	vol2 = "vol-0123456789abcdef0"
	nc1  = "iqn.2026-11.io.mallee:nc1"
	nc2  = "iqn.2026-11.io.mallee:nc2"
)

// machine is a machine on which a storage processor can be started, killed and
// started again.
type machine struct {
	pool     *lvmtest.Pool
	kernel   *liotest.ConfigFS
	stateDir string
	log      bytes.Buffer
}

func newMachine(t *testing.T) *machine {
	m := &machine{pool: lvmtest.NewPool(100 * mallee.GiB), kernel: liotest.New(), stateDir: t.TempDir()}
	m.kernel.Device = m.pool.Active
	m.pool.Open = m.kernel.Open
	return m
}

func (m *machine) reboot() {
	m.pool.Reboot()
	m.kernel.Reboot()
}

func (m *machine) options() sp.Options {
	return sp.Options{
		Name:        "san1",
		DataPortals: []netip.AddrPort{netip.MustParseAddrPort("10.107.1.200:3260"), netip.MustParseAddrPort("10.108.1.200:3260")},
		StateDir:    m.stateDir,
		Log:         slog.New(slog.NewJSONHandler(&m.log, nil)),
		Registry:    prometheus.NewRegistry(),
		Volumes:     m.pool,
		ConfigFS:    m.kernel,
	}
}

func (m *machine) start(t *testing.T) *sp.Server {
	t.Helper()
	s, err := sp.New(t.Context(), m.options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *sp.Server, id string) {
	t.Helper()
	if _, err := s.CreateVolume(t.Context(), &spv1.CreateVolumeRequest{VolumeId: id, SizeBytes: mallee.GiB}); err != nil {
		t.Fatal(err)
	}
}

func export(t *testing.T, s *sp.Server, id, initiator string) *spv1.Export {
	t.Helper()
	r, err := s.ExportVolume(t.Context(), &spv1.ExportVolumeRequest{VolumeId: id, Initiator: initiator, Chap: chap(password)})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetExport()
}

// password stands in no log, error or answer.
const password = "tell-nobody-of-it"

func chap(password string) *spv1.Chap { return &spv1.Chap{Username: "node", Password: password} }

func unexport(t *testing.T, s *sp.Server, id, initiator string) {
	t.Helper()
	release(t, s, id, initiator, 0)
}

// release unexports a volume of which the initiator has confirmed that it has no
// disk at a LUN.
func release(t *testing.T, s *sp.Server, id, initiator string, lun uint32) {
	t.Helper()
	if _, err := s.UnexportVolume(t.Context(), &spv1.UnexportVolumeRequest{VolumeId: id, Initiator: initiator, ReleasedLun: lun}); err != nil {
		t.Fatal(err)
	}
}

func exports(t *testing.T, s *sp.Server) []*spv1.Export {
	t.Helper()
	r, err := s.ListExports(t.Context(), &spv1.ListExportsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetExports()
}

// mapped returns the LUNs that the kernel shows an initiator.
func (m *machine) mapped(t *testing.T, initiator string) []string {
	t.Helper()
	names, err := m.kernel.List("iscsi/iqn.2026-11.io.mallee:san1/tpgt_1/acls/" + initiator)
	if err != nil {
		t.Fatal(err)
	}
	var luns []string
	for _, n := range names {
		if ok, _ := filepath.Match("lun_*", n); ok {
			luns = append(luns, n)
		}
	}
	return luns
}

func TestExportsComeBackAfterAReboot(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	create(t, s, vol2)
	export(t, s, vol2, nc1)
	release(t, s, vol2, nc1, 1) // so that the LUN of vol1 is not the first
	want := []*spv1.Export{export(t, s, vol1, nc1)}

	m.reboot()
	s = m.start(t)
	if diff := cmp.Diff(want, exports(t, s), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"lun_2"}, m.mapped(t, nc1)); diff != "" {
		t.Errorf("what the kernel shows: %s", diff)
	}
	// LUN 1 was taken back before the reboot and is still not given anew.
	if e := export(t, s, vol2, nc1); e.GetLun() != 3 {
		t.Errorf("LUN %d after the reboot, want 3", e.GetLun())
	}
}

func TestALUNThatWasNotReleasedComesToNoOtherVolume(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	create(t, s, vol2)
	retired := export(t, s, vol1, nc1)
	unexport(t, s, vol1, nc1)
	list, err := s.ListExports(t.Context(), &spv1.ListExportsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&spv1.ListExportsResponse{Retired: []*spv1.Export{retired}}, list, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if _, err := s.DeleteVolume(t.Context(), &spv1.DeleteVolumeRequest{VolumeId: vol1}); err != nil {
		t.Errorf("its volume cannot go: %v", err)
	}
	// The file is lost with the machine's power, and the caller knows of a disk.
	if err := os.Remove(filepath.Join(m.stateDir, "exports.json")); err != nil {
		t.Fatal(err)
	}
	m.reboot()
	s = m.start(t)
	r, err := s.ExportVolume(t.Context(), &spv1.ExportVolumeRequest{
		VolumeId: vol2, Initiator: nc1, Chap: chap(password), Held: []*spv1.Seat{{VolumeId: vol1, Lun: 1}, {VolumeId: vol2, Lun: 1 << 20}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.GetExport().GetLun(); got == retired.GetLun() {
		t.Errorf("LUN %d has come to %s, and the node may still have %s there", got, vol2, vol1)
	}
	if _, err := s.UnexportVolume(t.Context(), &spv1.UnexportVolumeRequest{VolumeId: vol2, Initiator: nc1, ReleasedLun: 1 << 16}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("error %v for a LUN that cannot be, want InvalidArgument", err)
	}
}

func TestKillOfTheProcessDisturbsNothing(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	want := export(t, s, vol1, nc1)
	m.kernel.Drain = func(link string) { t.Errorf("%s was taken out", link) }
	for _, lose := range []string{"nothing", "exports.json"} {
		t.Run("losing "+lose, func(t *testing.T) {
			_ = os.Remove(filepath.Join(m.stateDir, lose))
			s = m.start(t)
			if lose == "exports.json" {
				if got := exports(t, s); len(got) != 0 {
					t.Errorf("%v is listed, and would be lost with a reboot: its secret is not known", got)
				}
				export(t, s, vol1, nc1)
			}
			if diff := cmp.Diff([]*spv1.Export{want}, exports(t, s), protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnExportThatFailedIsNotListedAndComesWithTheNextCall(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	create(t, s, vol2)
	export(t, s, vol2, nc1)
	broken := func(string) bool { return false }
	request := &spv1.ExportVolumeRequest{VolumeId: vol1, Initiator: nc1, Chap: chap(password)}

	m.kernel.Device = broken
	if _, err := s.ExportVolume(t.Context(), request); err == nil {
		t.Fatal("a device that is not there was exported")
	}
	if got := exports(t, s); len(got) != 1 || got[0].GetVolumeId() != vol2 {
		t.Errorf("after the failure %v is listed, want %s alone", got, vol2)
	}
	m.kernel.Device = m.pool.Active
	want := export(t, s, vol1, nc1)
	if want.GetLun() != 2 {
		t.Errorf("LUN %d, want 2: the one that was put aside for it", want.GetLun())
	}

	m.reboot()
	m.kernel.Device = broken
	s = m.start(t)
	if got := exports(t, s); len(got) != 0 {
		t.Errorf("%v is listed and was not restored", got)
	}
	m.kernel.Device = m.pool.Active
	if diff := cmp.Diff(want, export(t, s, vol1, nc1), protocmp.Transform()); diff != "" {
		t.Errorf("restored by the next call: %s", diff)
	}
	if got := len(exports(t, s)); got != 1 {
		t.Errorf("%d exports are listed, want 1", got)
	}
}

func TestABrokenVolumeDoesNotKeepTheOthersAway(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	create(t, s, vol2)
	export(t, s, vol1, nc1)
	export(t, s, vol2, nc1)
	m.reboot()
	if err := m.pool.Remove(t.Context(), vol1); err != nil {
		t.Fatal(err)
	}
	s = m.start(t)
	if diff := cmp.Diff([]string{"lun_2"}, m.mapped(t, nc1)); diff != "" {
		t.Error(diff)
	}
	unexport(t, s, vol1, nc1)
	if got := len(exports(t, s)); got != 1 {
		t.Errorf("%d exports, want 1", got)
	}
}

func TestDeleteTellsToWhomAVolumeIsExported(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	export(t, s, vol1, nc2)
	export(t, s, vol1, nc1)
	_, err := s.DeleteVolume(t.Context(), &spv1.DeleteVolumeRequest{VolumeId: vol1})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "exported to "+nc1+", "+nc2) {
		t.Errorf("error %v, want one that names both initiators", err)
	}
}

func TestNoTwoVolumesHaveOneIdentity(t *testing.T) {
	s := newMachine(t).start(t)
	seen := map[mallee.WWID]string{}
	for _, id := range []string{vol1, "vol-0000000001a2b3c4d", "vol-fffffffff1a2b3c4d", "vol-ffffffff", "vol-fffffffffffffffff"} {
		_, err := s.CreateVolume(t.Context(), &spv1.CreateVolumeRequest{VolumeId: id, SizeBytes: mallee.GiB})
		if status.Code(err) == codes.InvalidArgument {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		wwid := sp.WWID(mallee.VolumeID(id))
		if other, twice := seen[wwid]; twice {
			t.Errorf("%s and %s are both %s", other, id, wwid)
		}
		seen[wwid] = id
	}
	if len(seen) != 3 {
		t.Errorf("%d volumes, want 3: %v", len(seen), seen)
	}
}

func TestARebootActivatesAllVolumesAtOnce(t *testing.T) {
	const n = 100
	for name, tt := range map[string]struct {
		broken           bool // one of them
		restored, atMost int
	}{
		"all well":   {false, n, 1},
		"one broken": {true, n - 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s := m.start(t)
			create(t, s, vol1)
			export(t, s, vol1, nc1)
			for range n - 1 {
				id := string(mallee.NewVolumeID())
				create(t, s, id)
				export(t, s, id, nc1)
			}
			m.reboot()
			m.pool.Broken = func(name string) bool { return tt.broken && name == vol1 }
			before := m.pool.Activations()
			s = m.start(t)
			if got := m.pool.Activations() - before; got > tt.atMost {
				t.Errorf("lvm ran %d times, want at most %d", got, tt.atMost)
			}
			if got := len(exports(t, s)); got != tt.restored {
				t.Errorf("%d exports came back, want %d", got, tt.restored)
			}
		})
	}
}

func TestOneVolumeThatDoesNotDrainHoldsUpNoOther(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	export(t, s, vol1, nc1)
	draining, drained := make(chan struct{}), make(chan struct{})
	m.kernel.Drain = func(string) { close(draining); <-drained }
	done := make(chan error)
	go func() {
		_, err := s.UnexportVolume(t.Context(), &spv1.UnexportVolumeRequest{VolumeId: vol1, Initiator: nc1})
		done <- err
	}()
	<-draining
	create(t, s, vol2)
	export(t, s, vol2, nc1)
	if got := len(exports(t, s)); got != 2 {
		t.Errorf("%d exports while one drains, want 2: it is not free yet", got)
	}
	close(drained)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAnInitiatorWithoutLUNsLeftIsTold(t *testing.T) {
	m := newMachine(t)
	type entry struct {
		VolumeID  mallee.VolumeID `json:"volume_id"`
		Initiator mallee.IQN      `json:"initiator"`
		LUN       int             `json:"lun"`
	}
	var all []entry
	for lun := 1; lun <= 16383; lun++ {
		all = append(all, entry{mallee.NewVolumeID(), nc1, lun})
	}
	cache, err := json.Marshal(map[string]any{"version": 1, "exports": all})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.stateDir, "exports.json"), cache, 0o600); err != nil {
		t.Fatal(err)
	}
	s := m.start(t)
	create(t, s, vol1)
	_, err = s.ExportVolume(t.Context(), &spv1.ExportVolumeRequest{VolumeId: vol1, Initiator: nc1, Chap: chap(password)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("error %v, want ResourceExhausted", err)
	}
	export(t, s, vol1, nc2)
}

func TestTheCacheIsPrivateAndVersioned(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	export(t, s, vol1, nc1)
	file := filepath.Join(m.stateDir, "exports.json")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	for name, content := range map[string]string{
		"a later schema":     `{"version": 4}`,
		"no JSON":            `{`,
		"a LUN twice":        `{"version":1,"exports":[{"volume_id":"` + vol1 + `","initiator":"` + nc1 + `","lun":1},{"volume_id":"` + vol2 + `","initiator":"` + nc1 + `","lun":1}]}`,
		"a path as a volume": `{"version":1,"exports":[{"volume_id":"../x","initiator":"` + nc1 + `","lun":1}]}`,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sp.New(t.Context(), m.options()); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestEachChangeIsLoggedOnce(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	m.log.Reset()
	for range 2 {
		create(t, s, vol1)
		export(t, s, vol1, nc1)
	}
	for _, released := range []uint32{0, 0, 1, 1} {
		release(t, s, vol1, nc1, released)
	}
	export(t, s, vol1, nc1)
	release(t, s, vol1, nc1, 2)
	var got []string
	for d := json.NewDecoder(&m.log); d.More(); {
		var line struct {
			Msg       string `json:"msg"`
			VolumeID  string `json:"volume_id"`
			Initiator string `json:"initiator"`
		}
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line.Msg+" "+line.VolumeID+" "+line.Initiator)
	}
	want := []string{
		"volume created " + vol1 + " ", "volume exported " + vol1 + " " + nc1,
		"volume unexported; its LUN is kept for it, since the node has not confirmed that it has let go " + vol1 + " " + nc1,
		"LUN is free again: the node has confirmed that it has let go " + vol1 + " " + nc1,
		"volume exported " + vol1 + " " + nc1, "volume unexported " + vol1 + " " + nc1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFailureIsLoggedAlsoWhenItsCallerIsGone(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	m.log.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	m.kernel.Device = func(string) bool { cancel(); return false }
	_, err := s.ExportVolume(ctx, &spv1.ExportVolumeRequest{VolumeId: vol1, Initiator: nc1, Chap: chap(password)})
	if status.Code(err) != codes.Canceled {
		t.Errorf("error %v, want Canceled", err)
	}
	if log := m.log.String(); !strings.Contains(log, vol1) || !strings.Contains(log, "cannot add backstore") {
		t.Errorf("the log does not tell what failed: %s", log)
	}
}

func TestAFillingPoolIsToldOnce(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	m.log.Reset()
	var data, metadata float64
	m.pool.Used = func() (float64, float64) { return data, metadata }
	for _, step := range []struct {
		name           string
		data, metadata float64
		want           []string // logged
		alarms         int
	}{
		{"half full", 0.5, 0.5, nil, 0},
		{"data above 80 %", 0.81, 0.8, []string{"WARN data"}, 1},
		{"still", 0.82, 0.8, nil, 1},
		{"metadata too", 0.82, 0.9, []string{"WARN metadata"}, 2},
		{"extended", 0.4, 0.9, []string{"INFO data"}, 1},
		{"data again", 0.9, 0.9, []string{"WARN data"}, 2},
	} {
		data, metadata = step.data, step.metadata
		info, err := s.Info(t.Context(), &spv1.InfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := info.GetAlarms(); len(got) != step.alarms {
			t.Errorf("%s: alarms %q, want %d", step.name, got, step.alarms)
		}
		var got []string
		for d := json.NewDecoder(&m.log); d.More(); {
			var line struct{ Level, About string }
			if err := d.Decode(&line); err != nil {
				t.Fatal(err)
			}
			got = append(got, line.Level+" "+line.About)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
}

func TestMetricsTellThePoolAndTheCalls(t *testing.T) {
	m := newMachine(t)
	o := m.options()
	m.pool.Used = func() (data, metadata float64) { return 0, 0.25 }
	registry := prometheus.NewRegistry()
	o.Registry = registry
	s, err := sp.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, vol1)
	export(t, s, vol1, nc1)
	export(t, s, vol1, nc2)
	unexport(t, s, vol1, nc2)
	if _, err := s.CreateVolume(t.Context(), &spv1.CreateVolumeRequest{VolumeId: "x"}); err == nil {
		t.Fatal("x was accepted")
	}
	page := httptest.NewRecorder()
	telemetry.MetricsHandler(registry).ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`mallee_sp_calls_total{code="InvalidArgument",method="CreateVolume"} 1`,
		`mallee_sp_calls_total{code="OK",method="CreateVolume"} 1`,
		`mallee_sp_calls_total{code="OK",method="ExportVolume"} 2`,
		`mallee_sp_exports 1`,
		`mallee_sp_retired_luns 1`,
		`mallee_sp_pool_alarms 0`,
		`mallee_sp_pool_promise_limit_bytes 1.073741824e+12`,
		`mallee_sp_pool_promised_bytes 1.073741824e+09`,
		`mallee_sp_pool_free_bytes 1.073741824e+11`,
		`mallee_sp_pool_metadata_used_ratio 0.25`,
		`mallee_sp_pool_size_bytes 1.073741824e+11`,
		`mallee_sp_volumes 1`,
	} {
		if !strings.Contains(page.Body.String(), want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}
