// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// shelf is a SAN that keeps the rules of retired LUNs, and gives the lowest that is
// free, so that mistakes show at once.
type shelf struct {
	exported map[string]uint32 // by volume
	retired  map[uint32]string
}

func (s *shelf) export(volume string, held map[uint32]string) uint32 {
	taken := maps.Clone(s.retired)
	for v, lun := range s.exported {
		taken[lun] = v
	}
	for lun, v := range held {
		if taken[lun] == "" {
			s.retired[lun], taken[lun] = v, v
		}
	}
	if lun := s.exported[volume]; lun != 0 {
		return lun
	}
	for lun := uint32(1); ; lun++ {
		if s.retired[lun] == volume || taken[lun] == "" {
			delete(s.retired, lun)
			s.exported[volume] = lun
			return lun
		}
	}
}

func (s *shelf) takeBack(volume string, released uint32) {
	if lun := s.exported[volume]; lun != 0 {
		s.retired[lun] = volume
	}
	delete(s.exported, volume)
	if s.retired[released] == volume {
		delete(s.retired, released)
	}
}

// rack is a shelf, a node whose disks stay until it lets go of them, and what
// agents do between them on the state that they saw last.
type rack struct {
	c        *Controller
	t        *testing.T
	name     string
	node     nodeRecord
	san      *shelf
	disks    map[uint32]string // the volume that each disk was when the node found it
	seen     *cloudv1.NodeState
	seenBySC *cloudv1.PartitionState
	underway []func() error // reports
}

func (r *rack) view() *view {
	v, err := readView(r.t.Context(), r.c.store)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *rack) nodeLooks() { r.seen = r.c.retirees.addToNode(r.view().nodeState(r.node), r.node) }

func (r *rack) scLooks() {
	r.seenBySC = r.c.retirees.addToPartition(r.view().partitionState(partition))
}

// found has the node find a volume at a LUN, if it is there.
func (r *rack) found(volume string, lun uint32) {
	if r.san.exported[volume] == lun && lun != 0 && r.disks[lun] == "" {
		r.disks[lun] = volume
	}
}

// rescan is an admin's on the node: it finds what is wanted there, told or not.
func (r *rack) rescan() {
	for id, a := range r.view().attachments {
		if a.Wanted {
			r.found(id, r.san.exported[id])
		}
	}
}

func (r *rack) nodeActs() {
	for _, d := range r.seen.GetAttachments() {
		report := &cloudv1.AttachmentReport{VolumeId: d.VolumeId, Generation: d.Generation, State: cloudv1.AttachmentReport_STATE_ATTACHING}
		switch {
		case d.Wanted && d.Export != nil:
			r.found(d.VolumeId, d.Export.Lun)
			report.State, report.Device = cloudv1.AttachmentReport_STATE_ATTACHED, "/dev/mallee/x"
		case !d.Wanted && d.Export == nil: // as if nothing could be there
			report.State = cloudv1.AttachmentReport_STATE_DETACHED
		case !d.Wanted:
			maps.DeleteFunc(r.disks, func(_ uint32, volume string) bool { return volume == d.VolumeId })
			report.State = cloudv1.AttachmentReport_STATE_DETACHED
		}
		r.underway = append(r.underway, func() error {
			r.c.retirees.nodeReported(r.t.Context(), partition, report)
			return r.c.attachmentReported(r.t.Context(), r.name, report)
		})
	}
}

func (r *rack) scActs() {
	held := map[uint32]string{}
	for _, d := range r.seenBySC.GetExports() {
		if d.Wanted && d.Export != nil {
			held[d.Export.Lun] = d.VolumeId
		}
	}
	for _, d := range r.seenBySC.GetExports() {
		report := exportReport(d)
		if d.Wanted {
			report.Export.Lun = r.san.export(d.VolumeId, held)
		} else {
			r.san.takeBack(d.VolumeId, d.GetExport().GetLun())
			report.Present, report.Export = false, nil
		}
		r.underway = append(r.underway, func() error { return r.c.exportReported(r.t.Context(), partition, report) })
	}
}

// scTells tells of the retired LUNs. A storage controller's reports come in order.
func (r *rack) scTells() {
	report := &cloudv1.PartitionReport{Portals: []string{"10.107.1.200:3260"}}
	for _, lun := range slices.Sorted(maps.Keys(r.san.retired)) {
		if volume := r.san.retired[lun]; r.san.exported[volume] == 0 {
			report.Retired = append(report.Retired, retiredLUN(mallee.VolumeID(volume), r.name, lun))
		}
	}
	r.c.retirees.controllerReported(r.t.Context(), partition, report)
}

// forget makes the SAN lose its record, unless it is the only one who knows of a LUN.
func (r *rack) forget() {
	r.scLooks()
	known := map[uint32]string{}
	for _, d := range r.seenBySC.GetExports() {
		if d.Wanted && d.Export != nil {
			known[d.Export.Lun] = d.VolumeId
		}
	}
	for lun, volume := range r.disks {
		if known[lun] != volume {
			return
		}
	}
	r.san.exported, r.san.retired = map[string]uint32{}, map[uint32]string{}
}

func (r *rack) check() error {
	for volume, lun := range r.san.exported {
		if disk := r.disks[lun]; disk != "" && disk != volume {
			return fmt.Errorf("the node reads and writes %s through its disk of %s at LUN %d", volume, disk, lun)
		}
	}
	// Two wishes for one volume would be carried out by turns.
	told := map[string]bool{}
	for _, d := range r.seen.GetAttachments() {
		if told["node "+d.VolumeId] {
			return fmt.Errorf("the node is told two things of %s", d.VolumeId)
		}
		told["node "+d.VolumeId] = true
	}
	for _, d := range r.seenBySC.GetExports() {
		if told["sc "+d.VolumeId] {
			return fmt.Errorf("the storage controller is told two things of %s", d.VolumeId)
		}
		told["sc "+d.VolumeId] = true
	}
	return nil
}

func (r *rack) happen(rt *rapid.T, volumes []mallee.VolumeID) {
	id := rapid.SampledFrom(volumes).Draw(rt, "volume")
	switch rapid.SampledFrom([]string{
		"attach", "detach", "node looks and acts", "sc looks and acts", "reports arrive", "a report arrives", "reports are lost",
		"node looks", "node acts", "sc looks", "sc acts", "sc tells", "rescan", "the SAN forgets", "the cloud controller restarts",
	}).Draw(rt, "event") {
	case "attach": // a call that is refused is as good as none
		_, _ = r.c.AttachVolume(r.t.Context(), id, r.node.InstanceID, "/dev/sd"+string(id[len(id)-1]+'a'-'0'))
	case "detach":
		_, _ = r.c.DetachVolume(r.t.Context(), id, "", "")
	case "node looks":
		r.nodeLooks()
	case "node acts":
		r.nodeActs()
	case "node looks and acts":
		r.nodeLooks()
		r.nodeActs()
	case "sc looks":
		r.scLooks()
	case "sc acts":
		r.scActs()
	case "sc looks and acts":
		r.scLooks()
		r.scActs()
	case "sc tells":
		r.scTells()
	case "reports arrive":
		r.deliver(rt, r.underway)
	case "a report arrives": // any of them, and it may come again
		if n := len(r.underway); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(rt, "report")
			r.deliver(rt, r.underway[i:i+1])
		}
	case "reports are lost":
		r.underway = nil
	case "rescan":
		r.rescan()
	case "the SAN forgets":
		r.forget()
	case "the cloud controller restarts":
		r.c.retirees = newRetirees(r.c.log)
	}
}

func (r *rack) deliver(rt *rapid.T, reports []func() error) {
	for _, report := range reports {
		if err := report(); err != nil {
			rt.Fatal(err)
		}
	}
}

// settle has all go well until all volumes are detached.
func (r *rack) settle(rt *rapid.T, volumes []mallee.VolumeID) error {
	for range 4 {
		for _, id := range volumes {
			_, _ = r.c.DetachVolume(r.t.Context(), id, "", "")
		}
		for _, act := range []func(){r.nodeLooks, r.nodeActs, r.scLooks, r.scActs} {
			act()
			late := r.underway
			r.underway = nil
			r.deliver(rt, late)
		}
		r.scTells()
	}
	if len(r.disks)+len(r.san.exported)+len(r.san.retired) > 0 {
		return fmt.Errorf("left over: disks %v, exported %v, retired %v", r.disks, r.san.exported, r.san.retired)
	}
	return nil
}

// Nor does a LUN stay kept for ever.
func TestNoOrderOfEventsLeadsADiskToAnotherVolume(t *testing.T) {
	c := newCluster(t)
	node, err := c.admit(t.Context(), c.bundle(rpc.NC, "nc1", partition).Identity(), mallee.IQN(initiator("nc1")))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.admitPartition(t.Context(), partition); err != nil {
		t.Fatal(err)
	}
	ids := []mallee.VolumeID{"vol-00000001", "vol-00000002", "vol-00000003"}
	rapid.Check(t, func(rt *rapid.T) {
		err := c.store.Update(t.Context(), func(tx *store.Tx) error {
			var errs []error
			for _, id := range ids {
				errs = append(errs, attachments.Delete(tx, string(id)), volumes.Put(tx, string(id), volumeRecord{
					Partition: partition, SizeGiB: 1, State: mallee.VolumeAvailable, WWID: mallee.WWID(wwidOf(id)),
				}))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			rt.Fatal(err)
		}
		c.retirees = newRetirees(c.Controller.log)
		r := &rack{
			c: c.Controller, t: t, name: "nc1", node: node,
			san: &shelf{map[string]uint32{}, map[uint32]string{}}, disks: map[uint32]string{},
		}
		for range 60 {
			r.happen(rt, ids)
			if err := r.check(); err != nil {
				rt.Fatal(err)
			}
		}
		if err := errors.Join(r.settle(rt, ids), r.check()); err != nil {
			rt.Fatal(err)
		}
	})
}
