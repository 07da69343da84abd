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
	changed, err := s.Export(t.Context(), v.ID, initiatorA, mallee.CHAP{Username: "changed", Password: password + "-changed"})
	must(t, err)
	equal(t, "the export after its secret was changed", e, changed)
	want := []san.Export{{VolumeID: v.ID, Initiator: initiatorA, Export: e}}
	equal(t, "listed exports", want, s.exports(t, v.ID))

	must(t, s.Unexport(t.Context(), v.ID, initiatorA))
	equal(t, "exports after Unexport", 0, len(s.exports(t, v.ID)))
	must(t, s.Unexport(t.Context(), v.ID, initiatorA))
}

func testExportRefuses(t *testing.T, s suite) {
	absent := mallee.NewVolumeID()
	_, err := s.Export(t.Context(), absent, initiatorA, chapOf(initiatorA))
	refused(t, "a volume that is not there", err, mallee.NotFound)
	if strings.Contains(fmt.Sprintf("%+v", err), password) {
		t.Errorf("the error tells the password: %v", err)
	}
	equal(t, "exports after the refusal", 0, len(s.exports(t, absent)))
	must(t, s.Unexport(t.Context(), absent, initiatorA))
	v := s.volume(t)
	for _, bad := range []mallee.IQN{"", "nc1", "iqn.2026-11.io.mallee:../x", "iqn.2026-11.io.mallee:a b"} {
		_, err := s.Export(t.Context(), v.ID, bad, chapOf(initiatorA))
		refused(t, "initiator "+string(bad), err, mallee.Invalid)
	}
}

func testTwoInitiators(t *testing.T, s suite) {
	v := s.volume(t)
	s.export(t, v.ID, initiatorA)
	b := s.export(t, v.ID, initiatorB)
	must(t, s.Unexport(t.Context(), v.ID, initiatorA))
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
		must(t, s.Unexport(t.Context(), v.ID, initiatorA))
	}
}
