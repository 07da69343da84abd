// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"testing"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// sized reports what the SAN has made a volume.
func (s *sc) sized(id mallee.VolumeID, gib int, failed bool, message string) {
	s.t.Helper()
	s.report(&cloudv1.PartitionReport{Volumes: []*cloudv1.VolumeReport{{
		VolumeId: string(id), Known: true, Present: true, Wwid: wwidOf(id), SizeBytes: gibibytes(gib), Failed: failed, Message: message,
	}}})
}

// grow waits until the storage controller is told to make a volume this large; 0
// is as it is.
func (s *sc) grow(id mallee.VolumeID, gib int) {
	s.t.Helper()
	s.until("how large the volume shall be", func(m *cloudv1.PartitionState) bool {
		return len(m.Volumes) == 1 && m.Volumes[0].VolumeId == string(id) && m.Volumes[0].GrowToBytes == gibibytes(gib) && m.Volumes[0].SizeBytes == 0
	})
}

// sized reports what size the node's device has.
func (n *nc) sized(id mallee.VolumeID, generation uint64, gib int) {
	n.t.Helper()
	_, err := n.client.ReportNode(n.t.Context(), &cloudv1.NodeReport{Attachments: []*cloudv1.AttachmentReport{{
		VolumeId: string(id), Generation: generation, State: cloudv1.AttachmentReport_STATE_ATTACHED,
		Device: "/dev/mallee/" + string(id), SizeBytes: gibibytes(gib),
	}}})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (c *cluster) wantGrowth(id mallee.VolumeID, gib int, state mallee.ModificationState) *mallee.Modification {
	c.t.Helper()
	v := c.volume(id)
	if v == nil || v.Modification == nil {
		c.t.Fatalf("%s has no modification: %+v", id, v)
	}
	if v.SizeGiB != gib || v.Modification.State != state {
		c.t.Fatalf("it has %d GiB and is %s (%s), want %d and %s", v.SizeGiB, v.Modification.State, v.Modification.Message, gib, state)
	}
	ended := state == mallee.ModificationCompleted || state == mallee.ModificationFailed
	if v.Modification.Ended.IsZero() == ended || v.Modification.Started.IsZero() {
		c.t.Errorf("it is %s since %s until %s", state, v.Modification.Started, v.Modification.Ended)
	}
	return v.Modification
}

func (c *cluster) growTo(id mallee.VolumeID, gib int) {
	c.t.Helper()
	v, err := c.GrowVolume(c.t.Context(), id, gib)
	if err != nil {
		c.t.Fatal(err)
	}
	if v.Modification == nil || v.Modification.TargetGiB != gib || v.ID != id {
		c.t.Errorf("the call returned %+v", v)
	}
}

func TestGrowWhileAttached(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, generation := c.attached(s, n)
	n.sized(id, generation, 1)
	c.growTo(id, 5)
	c.wantGrowth(id, 1, mallee.ModificationModifying)

	c.restart() // killed before the storage controller was told
	s, n = c.sc("sc1", partition), c.connect("nc1", partition, initiator("nc1"))
	s.grow(id, 5)
	s.sized(id, 1, false, "no storage processor answers")
	if m := c.wantGrowth(id, 1, mallee.ModificationModifying); m.Message != "no storage processor answers" {
		t.Errorf("nothing tells what stands in the way: %+v", m)
	}
	n.attachment("at its size", id, func(a *cloudv1.DesiredAttachment) bool { return a.SizeBytes == gibibytes(1) })
	s.sized(id, 5, false, "")
	if m := c.wantGrowth(id, 5, mallee.ModificationOptimizing); m.Message != "" || m.OriginalGiB != 1 {
		t.Errorf("all is well and the modification is %+v", m)
	}
	s.grow(id, 0)
	_, err := c.GrowVolume(t.Context(), id, 6)
	wantError(t, err, mallee.Modifying, string(id), "optimizing", "5 GiB")

	c.restart() // killed before the node was told
	n = c.connect("nc1", partition, initiator("nc1"))
	n.attachment("at its new size", id, func(a *cloudv1.DesiredAttachment) bool { return a.SizeBytes == gibibytes(5) })
	n.sized(id, generation, 1)
	c.wantGrowth(id, 5, mallee.ModificationOptimizing)
	n.sized(id, generation, 5)
	c.wantGrowth(id, 5, mallee.ModificationCompleted)
	c.wantState(id, mallee.VolumeInUse, mallee.Attached)
	c.growTo(id, 6)
}

func TestGrowWhileFree(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	id := c.available(s)
	c.growTo(id, 2)
	s.grow(id, 2)
	s.sized(id, 2, false, "")
	c.wantGrowth(id, 2, mallee.ModificationCompleted)
}

// The node may have the new size before the controller has heard of it from the SAN.
func TestTheDeviceHasGrownFirst(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, generation := c.attached(s, n)
	c.growTo(id, 2)
	n.sized(id, generation, 2)
	c.wantGrowth(id, 1, mallee.ModificationModifying)
	s.sized(id, 2, false, "")
	c.wantGrowth(id, 2, mallee.ModificationCompleted)
}

func TestDetachWhileOptimizing(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, generation := c.attached(s, n)
	c.growTo(id, 2)
	s.sized(id, 2, false, "")
	if _, err := c.DetachVolume(t.Context(), id, "", ""); err != nil {
		t.Fatal(err)
	}
	n.report(id, generation, cloudv1.AttachmentReport_STATE_DETACHED)
	c.wantGrowth(id, 2, mallee.ModificationOptimizing)
	s.unexported(s.export(id, false))
	c.wantGrowth(id, 2, mallee.ModificationCompleted)
}

func TestGrowthThatFails(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	id := c.available(s)
	c.growTo(id, 5)
	s.grow(id, 5)
	s.sized(id, 1, true, "the pool has promised all it may")
	if m := c.wantGrowth(id, 1, mallee.ModificationFailed); m.Message != "the pool has promised all it may" {
		t.Errorf("it does not tell why: %+v", m)
	}
	c.wantState(id, mallee.VolumeAvailable, "")
	s.grow(id, 0)
	s.sized(id, 1, false, "")
	if m := c.wantGrowth(id, 1, mallee.ModificationFailed); m.Message != "the pool has promised all it may" {
		t.Errorf("it has forgotten why: %+v", m)
	}

	c.growTo(id, 2)
	s.sized(id, 1, true, "the pool has promised all it may") // about the wish before
	c.wantGrowth(id, 1, mallee.ModificationFailed)
	s.sized(id, 2, false, "") // was told of the new wish before it was taken back
	c.wantGrowth(id, 2, mallee.ModificationCompleted)
}

func TestGrowthIsRefused(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	id := c.available(s)
	s.report(&cloudv1.PartitionReport{Pool: &cloudv1.Pool{SizeBytes: 50 * mallee.GiB}})
	creating, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]struct {
		id    mallee.VolumeID
		gib   int
		kind  mallee.Kind
		tells []string
	}{
		"no volume id":          {"disk", 2, mallee.Malformed, []string{"disk"}},
		"an unknown volume":     {"vol-1a2b3c4d", 2, mallee.NotFound, []string{"vol-1a2b3c4d"}},
		"while creating":        {creating.ID, 2, mallee.IncorrectState, []string{"creating"}},
		"to a smaller size":     {id, 0, mallee.Invalid, []string{"new size cannot be smaller than existing size"}},
		"to the same size":      {id, 1, mallee.Invalid, []string{"1 GiB"}},
		"beyond the limit":      {id, 16385, mallee.Invalid, []string{"16385"}},
		"beyond the whole pool": {id, 51, mallee.Exhausted, []string{"51 GiB", "50 GiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.GrowVolume(t.Context(), r.id, r.gib)
			wantError(t, err, r.kind, r.tells...)
		})
	}
	t.Run("beyond what the pool may promise", func(t *testing.T) {
		s.report(&cloudv1.PartitionReport{Pool: &cloudv1.Pool{SizeBytes: 50 * mallee.GiB, PromisedBytes: 92 * mallee.GiB, PromiseLimitBytes: 100 * mallee.GiB}})
		_, err := c.GrowVolume(t.Context(), id, 10)
		wantError(t, err, mallee.Exhausted, "9 GiB more", "92 of 100 GiB")
		_, err = c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 9})
		wantError(t, err, mallee.Exhausted, "9 GiB more", "92 of 100 GiB")
		if _, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 8}); err != nil {
			t.Errorf("what may just be promised: %v", err)
		}
	})
	if v := c.volume(id); v.Modification != nil || v.SizeGiB != 1 {
		t.Errorf("a refused call has changed it: %+v", v)
	}
}

// A backup from before a growth was restored: the SAN knows how large the volume is.
func TestTheSANHasGrownItBeforeTheRestore(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, generation := c.attached(s, n)
	n.sized(id, generation, 5)
	s.sized(id, 5, false, "")
	if v := c.volume(id); v.SizeGiB != 5 || v.Modification != nil {
		t.Errorf("the SAN has 5 GiB of it and the cloud tells %d, with the modification %+v", v.SizeGiB, v.Modification)
	}
	n.attachment("at its size", id, func(a *cloudv1.DesiredAttachment) bool { return a.SizeBytes == gibibytes(5) })
	_, err := c.GrowVolume(t.Context(), id, 3)
	wantError(t, err, mallee.Invalid, string(id), "5")
	c.growTo(id, 6)
	s.sized(id, 6, false, "")
	n.sized(id, generation, 6)
	c.wantGrowth(id, 6, mallee.ModificationCompleted)
}
