// SPDX-License-Identifier: Apache-2.0

package santest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/san"
)

func testExport(t *testing.T, s suite) {
	v := s.volume(t)
	e := s.export(t, v.ID, initiatorA)
	info, err := s.Info(t.Context())
	must(t, err)
	equal(t, "target and portals", san.Info{Target: info.Target, Portals: info.Portals}, san.Info{Target: e.Target, Portals: e.Portals})
	if e.WWID != v.WWID || e.LUN == 0 {
		t.Errorf("export does not make sense: %+v of %+v", e, v)
	}
	equal(t, "the same call again", e, s.export(t, v.ID, initiatorA))
	changed, err := s.Export(t.Context(), v.ID, initiatorA, mallee.CHAP{Username: "changed", Password: password + "-changed"}, nil)
	must(t, err)
	equal(t, "the export after its secret was changed", e, changed)
	want := []san.Export{{VolumeID: v.ID, Initiator: initiatorA, Export: e}}
	equal(t, "listed exports", want, s.exports(t, v.ID))

	must(t, s.Unexport(t.Context(), v.ID, initiatorA, 0))
	equal(t, "exports after Unexport", 0, len(s.exports(t, v.ID)))
	must(t, s.Unexport(t.Context(), v.ID, initiatorA, 0))
}

func testExportRefuses(t *testing.T, s suite) {
	absent := mallee.NewVolumeID()
	_, err := s.Export(t.Context(), absent, initiatorA, chapOf(initiatorA), nil)
	refused(t, "a volume that is not there", err, mallee.NotFound)
	if strings.Contains(fmt.Sprintf("%+v", err), password) {
		t.Errorf("the error tells the password: %v", err)
	}
	equal(t, "exports after the refusal", 0, len(s.exports(t, absent)))
	must(t, s.Unexport(t.Context(), absent, initiatorA, 0))
	v := s.volume(t)
	for _, bad := range []mallee.IQN{"", "nc1", "iqn.2026-11.io.mallee:../x", "iqn.2026-11.io.mallee:a b"} {
		_, err := s.Export(t.Context(), v.ID, bad, chapOf(initiatorA), nil)
		refused(t, "initiator "+string(bad), err, mallee.Invalid)
	}
}

func testTwoInitiators(t *testing.T, s suite) {
	v := s.volume(t)
	s.export(t, v.ID, initiatorA)
	b := s.export(t, v.ID, initiatorB)
	must(t, s.Unexport(t.Context(), v.ID, initiatorA, 0))
	want := []san.Export{{VolumeID: v.ID, Initiator: initiatorB, Export: b}}
	equal(t, "exports after one of two was taken back", want, s.exports(t, v.ID))
	refused(t, "deletion", s.DeleteVolume(t.Context(), v.ID), mallee.InUse)
}

func testLUNsComeBackLate(t *testing.T, s suite) {
	seen := map[uint16]bool{}
	for range 3 {
		v := s.volume(t)
		e := s.export(t, v.ID, initiatorA)
		if seen[e.LUN] {
			t.Errorf("LUN %d was given again at once", e.LUN)
		}
		seen[e.LUN] = true
		must(t, s.Unexport(t.Context(), v.ID, initiatorA, e.LUN))
		equal(t, "retired LUNs after the release", 0, len(s.retired(t, v.ID)))
	}
}

func testRetiredLUN(t *testing.T, s suite) {
	v := s.volume(t)
	e := s.export(t, v.ID, initiatorA)
	must(t, s.Unexport(t.Context(), v.ID, initiatorA, e.LUN+1))
	want := []san.Export{{VolumeID: v.ID, Initiator: initiatorA, Export: e}}
	equal(t, "retired LUNs after an Unexport that does not release", want, s.retired(t, v.ID))
	equal(t, "the export after that", e, s.export(t, v.ID, initiatorA))
	equal(t, "retired LUNs while it is exported", 0, len(s.retired(t, v.ID)))

	must(t, s.Unexport(t.Context(), v.ID, initiatorA, 0))
	must(t, s.Unexport(t.Context(), v.ID, initiatorA, e.LUN))
	equal(t, "retired LUNs after the release", 0, len(s.retired(t, v.ID)))
}

func testHeldLUN(t *testing.T, s suite) {
	const far = uint16(199) // that nothing has been given here
	v, other := s.volume(t), s.volume(t)
	e, err := s.Export(t.Context(), v.ID, initiatorA, chapOf(initiatorA), san.Seats{far: v.ID, far + 1: other.ID})
	must(t, err)
	equal(t, "the LUN of a volume that is held there", far, e.LUN)
	b, err := s.Export(t.Context(), other.ID, initiatorA, chapOf(initiatorA), san.Seats{far: other.ID})
	must(t, err)
	equal(t, "the LUN of the other volume that is held", far+1, b.LUN)
	must(t, s.Unexport(t.Context(), v.ID, initiatorA, far))
	must(t, s.Unexport(t.Context(), other.ID, initiatorA, far+1))
}
