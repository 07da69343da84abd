// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/store"
)

func (c *cluster) wantState(id mallee.VolumeID, volume mallee.VolumeState, attachment mallee.AttachmentState) {
	c.t.Helper()
	v := c.volume(id)
	if v == nil {
		c.t.Fatalf("%s is gone, want it %s", id, volume)
	}
	var got mallee.AttachmentState
	if v.Attachment != nil {
		got = v.Attachment.State
	}
	if v.State != volume || got != attachment {
		c.t.Fatalf("volume is %s with attachment %q (%s), want %s with %q", v.State, got, v.Message, volume, attachment)
	}
}

func TestLifeOfAVolume(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })

	v, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 2})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the wish for a volume", func(m *cloudv1.PartitionState) bool {
		return len(m.Volumes) == 1 && m.Volumes[0].Wanted && m.Volumes[0].SizeBytes == 2*mallee.GiB
	})
	s.report(&cloudv1.PartitionReport{Volumes: []*cloudv1.VolumeReport{{VolumeId: string(v.ID), Present: true, Wwid: wwidOf(v.ID)}}})
	c.wantState(v.ID, mallee.VolumeCreating, "") // not known is not acted on
	s.volume(v.ID, true)
	c.wantState(v.ID, mallee.VolumeAvailable, "")
	s.until("that the volume must not be made anew", func(m *cloudv1.PartitionState) bool {
		return m.Volumes[0].Wanted && m.Volumes[0].SizeBytes == 0
	})

	a, err := c.AttachVolume(t.Context(), v.ID, n.instance, "/dev/sdf")
	if err != nil {
		t.Fatal(err)
	}
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Attaching)
	n.report(v.ID, a.Generation, cloudv1.AttachmentReport_STATE_ATTACHED)
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Attaching) // nothing is attached that is not exported
	wish := s.export(v.ID, true)
	if wish.Initiator != initiator("nc1") || wish.InstanceId != string(n.instance) {
		t.Errorf("the SC is told to export to %s, %s", wish.Initiator, wish.InstanceId)
	}
	s.exported(exportReport(wish))
	told := n.attachment("with its export", v.ID, withExport)
	if told.Export.Wwid != wwidOf(v.ID) || len(told.Export.Portals) != 2 {
		t.Errorf("the node is told %v", told.Export)
	}
	n.report(v.ID, a.Generation, cloudv1.AttachmentReport_STATE_ATTACHED,
		&cloudv1.PathReport{Portal: "10.108.1.200:3260", State: "down", Reason: "timed out"},
		&cloudv1.PathReport{Portal: "10.107.1.200:3260", State: "up", BlockDev: "sdb"})
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Attached)
	if got := c.attachment(v.ID).HostDevice; got != "/dev/mallee/"+string(v.ID) {
		t.Errorf("the device is %q", got)
	}
	// The node restarts: what it had, it does not have until it says so.
	n.report(v.ID, a.Generation, cloudv1.AttachmentReport_STATE_ATTACHING)
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Attaching)
	if got := c.attachment(v.ID).HostDevice; got != "" {
		t.Errorf("the device of a node that has none is %q", got)
	}
	n.report(v.ID, a.Generation, cloudv1.AttachmentReport_STATE_ATTACHED,
		&cloudv1.PathReport{Portal: "10.106.1.200:3260", State: "draining", BlockDev: "sda"},
		&cloudv1.PathReport{Text: "iface1:san1", Interface: "iface1", State: "unresolved", Reason: "no such label"},
		&cloudv1.PathReport{Text: "10.108.1.200", Portal: "10.108.1.200:3260", State: "down", Reason: "timed out"},
		&cloudv1.PathReport{Text: "iface0:10.107.1.200", Interface: "iface0", Device: "eth1", Portal: "10.107.1.200:3260", State: "up", BlockDev: "sdb"})
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Attached)
	paths, err := c.Paths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []mallee.Path{ // in the node's order, and what goes at the end
		{Text: "iface1:san1", Interface: "iface1", State: mallee.PathUnresolved, Reason: "no such label"},
		{Text: "10.108.1.200", Portal: "10.108.1.200:3260", State: mallee.PathDown, Reason: "timed out"},
		{Text: "iface0:10.107.1.200", Interface: "iface0", NetDevice: "eth1", Portal: "10.107.1.200:3260", State: mallee.PathUp, BlockDev: "sdb"},
		{Portal: "10.106.1.200:3260", State: mallee.PathDraining, BlockDev: "sda"},
	}
	for i := range want {
		want[i].VolumeID, want[i].InstanceID = v.ID, n.instance
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}

	if _, err := c.DetachVolume(t.Context(), v.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	n.attachment("unwanted", v.ID, unwanted)
	s.unexported(wish) // too early: the node has not let go
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Detaching)
	n.report(v.ID, a.Generation, cloudv1.AttachmentReport_STATE_DETACHED)
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Detaching) // the SAN still offers it
	s.exported(exportReport(s.export(v.ID, false)))
	c.wantState(v.ID, mallee.VolumeInUse, mallee.Detaching)
	s.unexported(wish)
	c.wantState(v.ID, mallee.VolumeAvailable, "")
	if paths, err := c.Paths(t.Context()); err != nil || len(paths) != 0 {
		t.Errorf("paths of a detached volume: %v, %v", paths, err)
	}

	if err := c.DeleteVolume(t.Context(), v.ID); err != nil {
		t.Fatal(err)
	}
	s.until("the wish that the volume be gone", func(m *cloudv1.PartitionState) bool {
		return len(m.Volumes) == 1 && !m.Volumes[0].Wanted
	})
	s.volume(v.ID, true)
	c.wantState(v.ID, mallee.VolumeDeleting, "")
	s.volume(v.ID, false)
	if c.volume(v.ID) != nil {
		t.Error("the volume is still there")
	}
	s.until("nothing", func(m *cloudv1.PartitionState) bool { return len(m.Volumes) == 0 && len(m.Exports) == 0 })
}

func TestDeleteWhileTheSANDoesNotAnswer(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	v, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteVolume(t.Context(), v.ID); err != nil {
		t.Fatal(err)
	}
	s.until("the wish that the volume be gone", func(m *cloudv1.PartitionState) bool {
		return len(m.Volumes) == 1 && !m.Volumes[0].Wanted
	})
	s.volume(v.ID, true) // was under way
	c.wantState(v.ID, mallee.VolumeDeleting, "")
	s.volume(v.ID, false)
	if c.volume(v.ID) != nil {
		t.Error("the volume is still there")
	}
}

func TestDetachBeforeTheExport(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id := c.available(s)
	a, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf")
	if err != nil {
		t.Fatal(err)
	}
	wish := s.export(id, true)
	if _, err := c.DetachVolume(t.Context(), id, n.instance, ""); err != nil {
		t.Fatal(err)
	}
	s.exported(exportReport(wish)) // was under way
	s.unexported(wish)
	c.wantState(id, mallee.VolumeInUse, mallee.Detaching) // the node has to confirm all the same
	n.attachment("unwanted", id, unwanted)
	n.report(id, a.Generation, cloudv1.AttachmentReport_STATE_DETACHED)
	s.unexported(s.export(id, false))
	c.wantState(id, mallee.VolumeAvailable, "")
}

func TestPathsOfANodeThatIsAwayAreNotUp(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, generation := c.attached(s, n)
	n.report(id, generation, cloudv1.AttachmentReport_STATE_ATTACHED,
		&cloudv1.PathReport{Portal: "10.107.1.200:3260", State: "up", BlockDev: "sdb"},
		&cloudv1.PathReport{Portal: "10.108.1.200:3260", State: "missing", Reason: "no route"})
	c.hangUp("nc1", n)
	paths, err := c.Paths(t.Context())
	if err != nil || len(paths) != 2 {
		t.Fatal(paths, err)
	}
	if p := paths[0]; p.State != mallee.PathDown || !strings.HasPrefix(p.Reason, "the node has not reported since 20") {
		t.Errorf("the path that was up is %s: %s", p.State, p.Reason)
	}
	if p := paths[1]; p.State != mallee.PathMissing || p.Reason != "no route" {
		t.Errorf("the path that was missing is %s: %s", p.State, p.Reason)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newMetrics(c.Controller))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "mallee_clc_paths" && m.GetLabel()[0].GetValue() == "up" && m.GetGauge().GetValue() != 0 {
				t.Errorf("the metrics count %v paths up", m.GetGauge().GetValue())
			}
		}
	}
}

func TestControllerIsKilled(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id := c.available(s)
	a, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf")
	if err != nil {
		t.Fatal(err)
	}
	instance := n.instance

	c.restart() // in the middle of the attach
	s, n = c.sc("sc1", partition), c.nc("nc1")
	if n.instance != instance {
		t.Errorf("the node came back as %s and was %s", n.instance, instance)
	}
	s.exported(exportReport(s.export(id, true)))

	c.restart() // exported, not yet attached
	n = c.connect("nc1", partition, initiator("nc1"))
	n.attachment("with its export", id, withExport)
	n.report(id, a.Generation, cloudv1.AttachmentReport_STATE_ATTACHED)
	if _, err := c.DetachVolume(t.Context(), id, instance, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}

	c.restart() // in the middle of the detach
	n = c.connect("nc1", partition, initiator("nc1"))
	c.wantState(id, mallee.VolumeInUse, mallee.Detaching)
	n.attachment("unwanted", id, unwanted)
	n.report(id, a.Generation, cloudv1.AttachmentReport_STATE_DETACHED)

	c.restart() // released, not yet unexported
	s = c.sc("sc1", partition)
	s.unexported(s.export(id, false))
	c.wantState(id, mallee.VolumeAvailable, "")
}

func TestWhatIsNotThisAttachmentIsPassedOver(t *testing.T) {
	c := newCluster(t)
	s, n, other := c.sc("sc1", partition), c.nc("nc1"), c.nc("nc2")
	id, first := c.attached(s, n)
	detach := func() {
		t.Helper()
		if _, err := c.DetachVolume(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	detach()
	n.report(id, first, cloudv1.AttachmentReport_STATE_DETACHED)
	old := s.export(id, false)
	s.unexported(old)
	if _, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	wish := s.export(id, true)
	if wish.Generation != first+1 {
		t.Fatalf("the second attachment has generation %d and the first %d", wish.Generation, first)
	}
	stale := exportReport(wish)
	stale.Generation = first
	s.exported(stale)
	if c.view().attachments[string(id)].Export != nil {
		t.Error("an export of an earlier attachment was taken for this one")
	}
	s.exported(exportReport(wish))
	n.report(id, first, cloudv1.AttachmentReport_STATE_ATTACHED)
	c.wantState(id, mallee.VolumeInUse, mallee.Attaching)
	other.report(id, wish.Generation, cloudv1.AttachmentReport_STATE_ATTACHED)
	c.wantState(id, mallee.VolumeInUse, mallee.Attaching)

	detach()
	n.report(id, first, cloudv1.AttachmentReport_STATE_DETACHED)
	other.report(id, wish.Generation, cloudv1.AttachmentReport_STATE_DETACHED)
	if c.view().attachments[string(id)].Released {
		t.Error("the word of another node, or about an earlier attachment, released this one")
	}

	elsewhere := c.sc("sc2", "OTHER")
	elsewhere.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	n.report(id, wish.Generation, cloudv1.AttachmentReport_STATE_DETACHED)
	elsewhere.unexported(wish)
	elsewhere.volume(id, false)
	c.wantState(id, mallee.VolumeInUse, mallee.Detaching)
}

// view returns what is stored.
func (c *cluster) view() *view {
	c.t.Helper()
	v, err := readView(c.t.Context(), c.store)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// A report on exports is not held up by the volumes in it, here by the record of
// one that cannot be read.
func TestExportsAreHeardFirst(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, other := c.available(s), c.available(s)
	if _, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	wish := s.export(id, true)
	err := c.store.Update(t.Context(), func(tx *store.Tx) error {
		return store.NewTable[volumeRecord]("volumes", 2).Put(tx, string(other), volumeRecord{})
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.client.ReportPartition(t.Context(), &cloudv1.PartitionReport{
		Partition: partition,
		Volumes:   []*cloudv1.VolumeReport{{VolumeId: string(other), Known: true, Present: true, Wwid: wwidOf(other)}},
		Exports:   []*cloudv1.ExportReport{exportReport(wish)},
	})
	wantError(t, err, mallee.Internal, string(other))
	if a, _, err := attachments.Find(t.Context(), c.store, string(id)); err != nil || a.Export == nil {
		t.Errorf("the export was not taken: %+v, %v", a, err)
	}
}

func TestWrongIdentityNeverReachesANode(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id := c.available(s)
	if _, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	wish := s.export(id, true)
	wrong := exportReport(wish)
	wrong.Export.Wwid = wwidOf("vol-1a2b3c4d")
	s.exported(wrong)
	if a := c.attachment(id); a.Message == "" {
		t.Error("nothing tells that the export was refused")
	}
	if c.view().attachments[string(id)].Export != nil {
		t.Error("an export with another identity was taken")
	}
	s.exported(exportReport(wish))
	n.attachment("with its export", id, withExport)
	if a := c.attachment(id); a.Message != "" {
		t.Errorf("all is well and the message is %q", a.Message)
	}
}

func TestTwoVolumesWithOneIdentity(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	first := c.available(s)
	second, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.report(&cloudv1.PartitionReport{Volumes: []*cloudv1.VolumeReport{
		{VolumeId: string(second.ID), Known: true, Present: true, Wwid: wwidOf(first)},
	}})
	c.wantState(second.ID, mallee.VolumeError, "")
	c.wantState(first, mallee.VolumeAvailable, "")
}

// A node takes a pool without room for failing paths, and cannot tell more.
func TestPeopleAreToldThatAFullPoolHasWritesWait(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	id, generation := c.attached(s, n)
	n.report(id, generation, cloudv1.AttachmentReport_STATE_ATTACHED,
		&cloudv1.PathReport{Portal: "10.107.1.200:3260", State: "down", BlockDev: "sdb", Reason: "multipathd says failed, faulty"},
		&cloudv1.PathReport{Portal: "10.108.1.200:3260", State: "up", BlockDev: "sdc"})
	free := c.available(s)
	const asReported = "multipathd says failed, faulty"
	for _, test := range []struct {
		name            string
		free            uint64
		message, reason string
	}{
		{"room", 1 << 20, "", asReported},
		{"none", 0, "the pool of partition PARTI00 is full: writes of new blocks wait until it has room", asReported + "; the pool is full"},
		{"room again", 1 << 30, "", asReported},
	} {
		s.report(&cloudv1.PartitionReport{Pool: &cloudv1.Pool{SizeBytes: 50 * mallee.GiB, FreeBytes: test.free}})
		if got := c.volume(id).Message; got != test.message {
			t.Errorf("%s: the volume says %q, want %q", test.name, got, test.message)
		}
		if got := c.volume(free).Message; got != "" {
			t.Errorf("%s: a volume that nobody writes to says %q", test.name, got)
		}
		paths, err := c.Paths(t.Context())
		if err != nil || len(paths) != 2 {
			t.Fatal(paths, err)
		}
		if down, up := paths[0].Reason, paths[1].Reason; down != test.reason || up != "" {
			t.Errorf("%s: the path that is down says %q, want %q; the one that is up %q", test.name, down, test.reason, up)
		}
	}
}
