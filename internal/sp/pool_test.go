// SPDX-License-Identifier: Apache-2.0

package sp_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/sp"
)

func resize(t *testing.T, s *sp.Server, id string, gib uint64) error {
	t.Helper()
	_, err := s.ResizeVolume(t.Context(), &spv1.ResizeVolumeRequest{VolumeId: id, SizeBytes: gib * mallee.GiB})
	return err
}

func TestWhatThePoolCannotHoldIsRefusedWithTheNumbers(t *testing.T) {
	for name, tt := range map[string]struct {
		overcommit     float64
		data, metadata float64
		gib            uint64
		words          []string
	}{
		"larger than the pool":    {10, 0, 0, 101, []string{"101.0 GiB", "the pool's 100.0 GiB"}},
		"more than is promised":   {1.5, 0, 0, 51, []string{"promised 151.0 GiB", "the limit is 150.0 GiB", "1.5 times"}},
		"data nearly all used":    {10, 0.951, 0, 2, []string{"95.1 % full of data"}},
		"metadata nearly full":    {10, 0, 0.96, 2, []string{"96.0 % full of metadata"}},
		"as much as there may be": {1.5, 0.95, 0.95, 50, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			o := m.options()
			o.Overcommit = tt.overcommit
			s, err := sp.New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			create(t, s, vol1)
			if err := resize(t, s, vol1, 100); err != nil {
				t.Fatal(err)
			}
			m.pool.Used = func() (float64, float64) { return tt.data, tt.metadata }
			_, err = s.CreateVolume(t.Context(), &spv1.CreateVolumeRequest{VolumeId: vol2, SizeBytes: tt.gib * mallee.GiB})
			if tt.words == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if status.Code(err) != codes.ResourceExhausted {
				t.Errorf("error %v, want ResourceExhausted", err)
			}
			for _, words := range tt.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q is not in: %v", words, err)
				}
			}
			// What is there goes on.
			export(t, s, vol1, nc1)
		})
	}
}

func TestAVolumeThatIsRefusedMoreKeepsWhatItHas(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	create(t, s, vol1)
	m.pool.Used = func() (float64, float64) { return 0.99, 0 }
	if err := resize(t, s, vol1, 2); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("error %v, want ResourceExhausted", err)
	}
	if err := resize(t, s, vol1, 1); err != nil {
		t.Errorf("what it has already: %v", err)
	}
	if err := resize(t, s, vol2, 1); status.Code(err) != codes.NotFound {
		t.Errorf("error %v, want NotFound", err)
	}
}

func TestAGrowthThatWasCutOffIsFinished(t *testing.T) {
	for name, again := range map[string]func(*testing.T, *machine, *sp.Server) error{
		"by the next start": func(t *testing.T, m *machine, _ *sp.Server) error { m.start(t); return nil },
		"by the same call":  func(t *testing.T, _ *machine, s *sp.Server) error { return resize(t, s, vol1, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s := m.start(t)
			create(t, s, vol1)
			if err := resize(t, s, vol1, 2); err != nil {
				t.Fatal(err)
			}
			m.pool.Tear(vol1)
			if err := again(t, m, s); err != nil {
				t.Fatal(err)
			}
			c, err := m.pool.Contents(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v := c.Volumes[0]; v.Torn || v.SizeBytes != 2*mallee.GiB {
				t.Errorf("the volume is %+v", v)
			}
		})
	}
}

func TestAPoolThatFillsWhileNobodyAsksIsTold(t *testing.T) {
	m := newMachine(t)
	o := m.options()
	o.VolumeGroup, o.Pool = "vg0", "thin"
	synctest.Test(t, func(t *testing.T) {
		s, err := sp.New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		m.log.Reset()
		m.pool.Used = func() (float64, float64) { return 0.81, 0.2 }
		go func() { _ = s.Watch(t.Context()) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if log := m.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "lvextend --size +10G vg0/thin") {
			t.Errorf("logged: %s", log)
		}
	})
}

func TestABrokenPoolIsAnAlarm(t *testing.T) {
	m := newMachine(t)
	s := m.start(t)
	for health, want := range map[string]int{"": 0, "out_of_data": 0, "metadata_read_only": 1, "failed": 1} {
		m.pool.Health = func() string { return health }
		info, err := s.Info(t.Context(), &spv1.InfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := info.GetAlarms(); len(got) != want {
			t.Errorf("%q: alarms %q", health, got)
		}
	}
}
