// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// world is a SAN with one volume at a time and two nodes, whose agents act on the state
// that they saw last, and whose reports arrive late, twice, or never.
type world struct {
	c        *Controller
	t        *testing.T
	volume   mallee.VolumeID
	names    []string
	records  []nodeRecord
	seen     []*cloudv1.NodeState // by node
	seenBySC *cloudv1.PartitionState
	made     bool            // the SAN holds the volume
	bytes    uint64          // that the SAN has made it
	full     bool            // the SAN does not let it grow
	exports  map[string]bool // by initiator
	holds    []uint64        // by node: the generation it has a device of, 0 for none
	devices  []uint64        // by node: the bytes of that device
	underway []func() error  // reports
}

func (w *world) view() *view {
	v, err := readView(w.t.Context(), w.c.store)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// nodeActs does what a node controller does about the volume and reports it.
func (w *world) nodeActs(i int) {
	for _, a := range w.seen[i].GetAttachments() {
		if a.GetVolumeId() != string(w.volume) {
			continue
		}
		r := &cloudv1.AttachmentReport{VolumeId: a.VolumeId, Generation: a.Generation, State: cloudv1.AttachmentReport_STATE_ATTACHING}
		switch {
		case !a.Wanted:
			r.State, w.holds[i] = cloudv1.AttachmentReport_STATE_DETACHED, 0
		case a.Export != nil && w.exports[string(w.records[i].Initiator)]:
			// A device is as large as the SAN's volume when it is made, and again
			// when the node is told to look.
			if w.holds[i] != a.Generation || a.SizeBytes > w.devices[i] {
				w.devices[i] = w.bytes
			}
			r.State, r.Device, w.holds[i] = cloudv1.AttachmentReport_STATE_ATTACHED, "/dev/mallee/x", a.Generation
			r.SizeBytes = w.devices[i]
		}
		w.underway = append(w.underway, func() error { return w.c.attachmentReported(w.t.Context(), w.names[i], r) })
	}
}

// scActs does what a storage controller does about the volume and its exports
// and reports it.
func (w *world) scActs() {
	for _, d := range w.seenBySC.GetVolumes() {
		if d.GetVolumeId() != string(w.volume) {
			continue
		}
		r := &cloudv1.VolumeReport{VolumeId: d.VolumeId, Known: true}
		switch {
		case !d.Wanted:
			w.made = false
		case w.made || d.SizeBytes > 0:
			if !w.made {
				w.bytes = d.SizeBytes
			}
			if r.Failed = w.full && d.GrowToBytes > w.bytes; !w.full {
				w.bytes = max(w.bytes, d.GrowToBytes)
			}
			w.made, r.Present, r.Wwid, r.SizeBytes = true, true, wwidOf(w.volume), w.bytes
		}
		w.underway = append(w.underway, func() error { return w.c.volumeReported(w.t.Context(), partition, r) })
	}
	for _, d := range w.seenBySC.GetExports() {
		if d.GetVolumeId() != string(w.volume) {
			continue
		}
		w.exports[d.Initiator] = d.Wanted
		r := exportReport(d)
		if !d.Wanted {
			r.Present, r.Export = false, nil
		}
		w.underway = append(w.underway, func() error { return w.c.exportReported(w.t.Context(), partition, r) })
	}
}

// scIsBlind reports what a storage controller does that cannot see the SAN.
func (w *world) scIsBlind() {
	for _, d := range w.seenBySC.GetVolumes() {
		r := &cloudv1.VolumeReport{VolumeId: d.VolumeId, Message: "no answer"}
		w.underway = append(w.underway, func() error { return w.c.volumeReported(w.t.Context(), partition, r) })
	}
	for _, d := range w.seenBySC.GetExports() {
		r := &cloudv1.ExportReport{VolumeId: d.VolumeId, InstanceId: d.InstanceId, Generation: d.Generation, Message: "no answer"}
		w.underway = append(w.underway, func() error { return w.c.exportReported(w.t.Context(), partition, r) })
	}
}

// create wishes for a volume, if there is none. Ids are not used twice.
func (w *world) create() error {
	if _, known := w.view().volumes[string(w.volume)]; known {
		return nil
	}
	v, err := w.c.CreateVolume(w.t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 1})
	w.volume = v.ID
	return err
}

// check tells whether somebody has the volume who must not.
func (w *world) check() error {
	v := w.view()
	a, attached := v.attachments[string(w.volume)]
	r, known := v.volumes[string(w.volume)]
	switch {
	case !known && w.made:
		return errors.New("the volume is forgotten and the SAN still holds it")
	case !w.made && (r.State == mallee.VolumeAvailable || r.State == mallee.VolumeInUse):
		return errors.New("the volume can be used and the SAN does not hold it")
	case attached != (r.State == mallee.VolumeInUse):
		return errors.New("the volume's state and its attachment differ")
	case w.made && r.bytes() > w.bytes && r.State != mallee.VolumeCreating:
		return errors.New("the volume is told to be larger than it is")
	}
	for i, generation := range w.holds {
		switch {
		case generation == 0:
		case !attached || a.InstanceID != w.records[i].InstanceID || a.Generation != generation || a.Released:
			return errors.New(w.names[i] + " has a device of a volume that is not attached to it")
		case r.Growth.State == mallee.ModificationCompleted && a.State == mallee.Attached && w.devices[i] < r.bytes():
			return errors.New("the volume has grown, it is said, and the device of " + w.names[i] + " has not")
		case !w.exports[string(w.records[i].Initiator)]:
			return errors.New("the export was taken away from under " + w.names[i])
		}
	}
	for initiator, on := range w.exports {
		if on && (!attached || a.Initiator != mallee.IQN(initiator)) {
			return errors.New("the volume is offered to " + initiator + ", which it is not attached to")
		}
	}
	return nil
}

// Nor to one that is told a size which it does not have.
func TestNoOrderOfEventsGivesAVolumeToTwo(t *testing.T) {
	c := newCluster(t)
	names := []string{"nc1", "nc2"}
	var records []nodeRecord
	for _, name := range names {
		r, err := c.admit(t.Context(), c.bundle(rpc.NC, name, partition).Identity(), mallee.IQN(initiator(name)))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	if err := c.admitPartition(t.Context(), partition); err != nil {
		t.Fatal(err)
	}
	const id = mallee.VolumeID("vol-00000001")
	rapid.Check(t, func(rt *rapid.T) {
		before := c.view()
		err := c.store.Update(t.Context(), func(tx *store.Tx) error {
			for old := range before.volumes {
				if err := errors.Join(attachments.Delete(tx, old), volumes.Delete(tx, old)); err != nil {
					return err
				}
			}
			return volumes.Put(tx, string(id), volumeRecord{Partition: partition, SizeGiB: 1, State: mallee.VolumeAvailable, WWID: mallee.WWID(wwidOf(id))})
		})
		if err != nil {
			rt.Fatal(err)
		}
		w := &world{
			c: c.Controller, t: t, volume: id, made: true, bytes: mallee.GiB, devices: make([]uint64, 2), names: names, records: records,
			seen: make([]*cloudv1.NodeState, 2), exports: map[string]bool{}, holds: make([]uint64, 2),
		}
		for range 120 {
			w.happen(rt)
			if err := w.check(); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// happen lets one thing happen. What stands first is drawn more often: nothing
// would be attached for long if reports were mostly late and volumes wanted away.
func (w *world) happen(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "node")
	switch rapid.SampledFrom([]string{
		"all goes well", "attach", "grow", "last report arrives", "node looks and acts", "sc looks and acts", "some report arrives",
		"node looks", "node acts", "sc looks", "sc acts", "the SAN is full or not", "sc is blind", "create", "detach", "delete",
	}).Draw(rt, "event") {
	case "attach": // a call that is refused is as good as none
		_, _ = w.c.AttachVolume(w.t.Context(), w.volume, w.records[i].InstanceID, "/dev/sdf")
	case "detach":
		_, _ = w.c.DetachVolume(w.t.Context(), w.volume, "", "")
	case "delete":
		_ = w.c.DeleteVolume(w.t.Context(), w.volume)
	case "create":
		if err := w.create(); err != nil {
			rt.Fatal(err)
		}
	case "grow":
		_, _ = w.c.GrowVolume(w.t.Context(), w.volume, w.view().volumes[string(w.volume)].SizeGiB+1)
	case "the SAN is full or not":
		w.full = !w.full
	case "sc is blind":
		w.scIsBlind()
	case "node looks":
		w.seen[i] = w.view().nodeState(w.records[i])
	case "node acts":
		w.nodeActs(i)
	case "node looks and acts":
		w.seen[i] = w.view().nodeState(w.records[i])
		w.nodeActs(i)
	case "sc looks":
		w.seenBySC = w.view().partitionState(partition)
	case "sc acts":
		w.scActs()
	case "sc looks and acts":
		w.seenBySC = w.view().partitionState(partition)
		w.scActs()
	case "last report arrives":
		w.deliver(rt, len(w.underway)-1)
	case "all goes well":
		for _, act := range []func(){
			func() { w.seenBySC = w.view().partitionState(partition); w.scActs() },
			func() { w.seen[i] = w.view().nodeState(w.records[i]); w.nodeActs(i) },
		} {
			late := len(w.underway)
			act()
			for report := late; report < len(w.underway); report++ {
				w.deliver(rt, report)
			}
		}
	case "some report arrives": // any of them, and it may come again
		w.deliver(rt, rapid.IntRange(0, max(len(w.underway)-1, 0)).Draw(rt, "report"))
	}
}

func (w *world) deliver(rt *rapid.T, i int) {
	if i < 0 || i >= len(w.underway) {
		return
	}
	if err := w.underway[i](); err != nil {
		rt.Fatal(err)
	}
}
