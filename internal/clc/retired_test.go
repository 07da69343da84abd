// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// retired has the storage controller tell of the LUNs that the SAN keeps.
func (s *sc) retired(list ...*cloudv1.RetiredLUN) {
	s.t.Helper()
	s.report(&cloudv1.PartitionReport{Portals: []string{"10.107.1.200:3260"}, Retired: list})
}

func retiredLUN(id mallee.VolumeID, node string, lun uint32) *cloudv1.RetiredLUN {
	return &cloudv1.RetiredLUN{VolumeId: string(id), Initiator: initiator(node), Export: &cloudv1.Export{
		Target: "iqn.2026-11.io.mallee:sp1", Lun: lun, Wwid: wwidOf(id), Portals: []string{"10.107.1.200:3260"},
	}}
}

func TestALUNIsReleasedOnceItsNodeHasLetGo(t *testing.T) {
	c := newCluster(t)
	s, n, other := c.sc("sc1", partition), c.nc("nc1"), c.nc("nc2")
	const gone = mallee.VolumeID("vol-0badcafe") // the cloud need not know it any more
	kept := retiredLUN(gone, "nc1", 7)
	s.retired(kept)

	wish := n.attachment("that must go", gone, unwanted)
	if diff := cmp.Diff(kept.Export, wish.Export, protocmp.Transform()); diff != "" {
		t.Errorf("the node is told to let go of something else: %s", diff)
	}
	// Neither another's word counts, nor one about an earlier wish, nor less than all.
	other.report(gone, wish.Generation+1, cloudv1.AttachmentReport_STATE_DETACHED)
	n.report(gone, 1, cloudv1.AttachmentReport_STATE_DETACHED)
	n.report(gone, wish.Generation, cloudv1.AttachmentReport_STATE_DETACHING)
	s.report(&cloudv1.PartitionReport{}) // the SAN does not answer: nothing is known
	if state := c.retirees.addToPartition(&cloudv1.PartitionState{Partition: partition}); len(state.Exports) != 0 {
		t.Errorf("released before the node has let go: %v", state.Exports)
	}
	n.report(gone, wish.Generation, cloudv1.AttachmentReport_STATE_DETACHED)
	release := s.export(gone, false)
	if release.Initiator != initiator("nc1") || release.Export.GetLun() != 7 {
		t.Errorf("the SC is told to release %v", release)
	}
	s.exported(&cloudv1.ExportReport{VolumeId: string(gone), Generation: release.Generation, Known: true})
	s.retired()
	s.until("that there is nothing left to release", func(m *cloudv1.PartitionState) bool { return len(m.Exports) == 0 })

	// The same once more is something new.
	s.retired(kept)
	again := n.attachment("that must go again", gone, func(a *cloudv1.DesiredAttachment) bool { return a.Generation != wish.Generation })
	if again.Wanted {
		t.Error("the node is told to attach it")
	}
	// A controller that was just started asks anew.
	c.restart()
	s, n = c.sc("sc1", partition), c.nc("nc1")
	s.retired(kept)
	n.attachment("that must go after a restart", gone, unwanted)
}

func TestAVolumeThatIsAttachedAgainIsNotTakenForALeftover(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id := c.available(s)
	s.retired(retiredLUN(id, "nc1", 7))
	wish := n.attachment("that must go", id, unwanted)
	a, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf")
	if err != nil {
		t.Fatal(err)
	}
	n.until("that it is wanted, and that alone", func(m *cloudv1.NodeState) bool {
		return len(m.Attachments) == 1 && m.Attachments[0].Wanted && m.Attachments[0].Generation == a.Generation
	})
	n.report(id, wish.Generation, cloudv1.AttachmentReport_STATE_DETACHED) // late
	if got := c.retirees.addToPartition(c.view().partitionState(partition)).Exports; len(got) != 1 || !got[0].Wanted {
		t.Errorf("the storage controller is told %v, want one export, which is wanted", got)
	}
	c.wantState(id, mallee.VolumeInUse, mallee.Attaching)
}

func TestTheStorageControllerIsToldWhatANodeHasLetGoOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		told bool // the node was told of the export
	}{{"all of it", true}, {"nothing that it was told of", false}} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t)
			s, n := c.sc("sc1", partition), c.nc("nc1")
			id := c.available(s)
			a, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf")
			if err != nil {
				t.Fatal(err)
			}
			wish := s.export(id, true)
			if tt.told {
				s.exported(exportReport(wish))
				n.attachment("with its export", id, withExport)
			}
			if _, err := c.DetachVolume(t.Context(), id, "", ""); err != nil {
				t.Fatal(err)
			}
			n.attachment("that must go", id, unwanted)
			n.report(id, a.Generation, cloudv1.AttachmentReport_STATE_DETACHED)
			if got := s.export(id, false).Export; (got != nil) != tt.told {
				t.Errorf("the storage controller may release %v", got)
			}
		})
	}
}
