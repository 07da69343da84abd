// SPDX-License-Identifier: Apache-2.0

// Package santest says whether a driver keeps the rules of san.SAN.
package santest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/san"
)

// Initiators that the suite exports to; nobody logs in as them.
const (
	initiatorA = mallee.IQN("iqn.2026-11.io.mallee:santest-a")
	initiatorB = mallee.IQN("iqn.2026-11.io.mallee:santest-b")
)

// password is what they would prove themselves with.
const password = "told-to-nobody-else"

func chapOf(initiator mallee.IQN) mallee.CHAP {
	return mallee.CHAP{Username: string(initiator), Password: password}
}

// Run tests the SAN that open returns. open is called once for each test and MAY
// return the same SAN each time, also one that holds other volumes: the suite
// looks only at volumes that it made, and removes them. The pool must have a size
// of at least 2 GiB.
func Run(t *testing.T, open func(t *testing.T) san.SAN) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, suite)
	}{
		{"Info", testInfo},
		{"CreateVolume", testCreate},
		{"CreateVolumeRefuses", testCreateRefuses},
		{"Names", testNames},
		{"ResizeVolume", testResize},
		{"ResizeVolumeRefuses", testResizeRefuses},
		{"DeleteVolume", testDelete},
		{"Export", testExport},
		{"ExportRefuses", testExportRefuses},
		{"ExportToTwoInitiators", testTwoInitiators},
		{"LUNsComeBackLate", testLUNsComeBackLate},
		{"RetiredLUN", testRetiredLUN},
		{"HeldLUN", testHeldLUN},
		{"ManyAtOnce", testManyAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, suite{open(t)}) })
	}
}

type suite struct{ san.SAN }

// volume makes a volume of 1 GiB that is unexported and deleted with the test.
func (s suite) volume(t *testing.T) san.Volume {
	t.Helper()
	v, err := s.CreateVolume(t.Context(), san.VolumeSpec{ID: mallee.NewVolumeID(), SizeBytes: mallee.GiB})
	if err != nil {
		t.Fatal(err)
	}
	s.removeLater(t, v.ID)
	return v
}

func (s suite) removeLater(t *testing.T, id mallee.VolumeID) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		for _, initiator := range []mallee.IQN{initiatorA, initiatorB} {
			if err := s.Unexport(ctx, id, initiator, 0); err != nil {
				t.Error(err)
			}
		}
		for _, e := range s.retired(t, id) {
			if err := s.Unexport(ctx, id, e.Initiator, e.LUN); err != nil {
				t.Error(err)
			}
		}
		if err := s.DeleteVolume(ctx, id); err != nil {
			t.Error(err)
		}
	})
}

func (s suite) export(t *testing.T, id mallee.VolumeID, initiator mallee.IQN) mallee.Export {
	t.Helper()
	e, err := s.Export(t.Context(), id, initiator, chapOf(initiator), nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// exports returns the exports of a volume that Exports lists.
func (s suite) exports(t *testing.T, id mallee.VolumeID) []san.Export {
	t.Helper()
	all, _, err := s.Exports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e san.Export) bool { return e.VolumeID != id })
}

// retired returns the retired LUNs of a volume that Exports lists.
func (s suite) retired(t *testing.T, id mallee.VolumeID) []san.Export {
	t.Helper()
	_, all, err := s.Exports(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e san.Export) bool { return e.VolumeID != id })
}

// volumes returns the volumes of that id that Volumes lists.
func (s suite) volumes(t *testing.T, id mallee.VolumeID) []san.Volume {
	t.Helper()
	all, err := s.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(v san.Volume) bool { return v.ID != id })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refused asserts that err is a *mallee.Error of that kind.
func refused(t *testing.T, what string, err error, kind mallee.Kind) {
	t.Helper()
	if _, ok := errors.AsType[*mallee.Error](err); !ok || mallee.KindOf(err) != kind {
		t.Errorf("%s: error %v, want a mallee.Error of kind %q", what, err, kind)
	}
}

func testManyAtOnce(t *testing.T, s suite) {
	const n = 4
	ids := make([]mallee.VolumeID, n)
	for i := range ids {
		ids[i] = mallee.NewVolumeID()
		s.removeLater(t, ids[i])
	}
	luns := make([][2]uint16, n)
	errs := make([]error, 2*n)
	var wg sync.WaitGroup
	for i := range 2 * n { // Each volume twice, as when an answer was lost.
		wg.Go(func() {
			if _, errs[i] = s.CreateVolume(t.Context(), san.VolumeSpec{ID: ids[i%n], SizeBytes: mallee.GiB}); errs[i] != nil {
				return
			}
			var e mallee.Export
			e, errs[i] = s.Export(t.Context(), ids[i%n], initiatorA, chapOf(initiatorA), nil)
			luns[i%n][i/n] = e.LUN
		})
	}
	wg.Wait()
	must(t, errors.Join(errs...))
	seen := map[uint16]string{}
	for i, pair := range luns {
		if pair[0] != pair[1] {
			t.Errorf("one export has LUNs %d and %d", pair[0], pair[1])
		}
		if other := seen[pair[0]]; other != "" {
			t.Errorf("LUN %d is that of %s and of %s", pair[0], other, ids[i])
		}
		seen[pair[0]] = fmt.Sprint(ids[i])
	}
}
