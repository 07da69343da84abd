// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"fmt"
	"slices"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/san"
)

// volume starts what brings a volume to its wish and returns what to report.
// What an operation is about to change is reported as not known: the CLC acts on
// an absence, and a listing from before an operation is no proof of one.
func (r *reconciler) volume(ctx context.Context, d *cloudv1.DesiredVolume, have *inventory) *cloudv1.VolumeReport {
	k, id := key{volume: d.GetVolumeId()}, mallee.VolumeID(d.GetVolumeId())
	v, present := have.volumes[k]
	report := &cloudv1.VolumeReport{VolumeId: d.GetVolumeId(), Present: present, Wwid: string(v.WWID), SizeBytes: v.SizeBytes}
	work := work{key: k, request: d.GetRequestId()}
	switch {
	case r.busy[k]:
	case d.GetWanted() && present:
		report.Known = true
		r.grow(ctx, d, v, report)
	case d.GetWanted() && d.GetSizeBytes() == 0:
		// It was made once. A new, empty one under its name would be taken for
		// it by whoever has it attached.
		report.Message = "the SAN does not hold this volume any more"
		return report
	case d.GetWanted() && r.trouble[k].final:
		report.Failed = true
	case d.GetWanted():
		spec := san.VolumeSpec{ID: id, Name: r.nameOf(id), SizeBytes: d.GetSizeBytes()}
		work.op, work.final = "create", hopeless
		work.do = func(ctx context.Context, s SAN) error {
			_, err := s.CreateVolume(ctx, spec)
			return err
		}
		r.start(ctx, work)
	case !present && r.removed[k]:
		report.Known = true
	case r.stranger(id, have) != "":
		// Records may be older than the world, after a restore for example: the
		// volume may be in use there.
		report.Known, report.Message = present, strangerMessage(r.stranger(id, have))
		return report
	default:
		report.Known = present
		work.op, work.removes = "delete", true
		work.do = func(ctx context.Context, s SAN) error { return s.DeleteVolume(ctx, id) }
		r.start(ctx, work)
	}
	report.Message = r.trouble[k].message
	return report
}

// nameOf returns the name that a volume made now has on the SAN.
func (r *reconciler) nameOf(id mallee.VolumeID) string {
	return r.want.GetResourcePrefix() + string(id) + r.want.GetResourceSuffix()
}

// grow starts what gives a volume the size that is wished for it. The volume stays
// known and of use meanwhile, and when it cannot grow.
func (r *reconciler) grow(ctx context.Context, d *cloudv1.DesiredVolume, v san.Volume, report *cloudv1.VolumeReport) {
	w := work{key: key{volume: d.GetVolumeId()}, op: "grow", size: d.GetGrowToBytes(), request: d.GetRequestId(), final: hopeless}
	t, failed := r.trouble[w.key]
	switch {
	case w.size <= v.SizeBytes:
		delete(r.trouble, w.key)
		return
	case failed && t.final && t.op == w.op && t.size == w.size:
		report.Failed = true
		return
	}
	w.do = func(ctx context.Context, s SAN) error {
		_, err := s.ResizeVolume(ctx, v.ID, w.size)
		return err
	}
	r.start(ctx, w)
}

// stranger returns an initiator that a volume is exported to without an
// attachment that names it, or "".
func (r *reconciler) stranger(id mallee.VolumeID, have *inventory) mallee.IQN {
	named := map[key]bool{}
	for _, d := range r.want.GetExports() {
		named[key{d.GetVolumeId(), d.GetInitiator()}] = true
	}
	var strangers []mallee.IQN
	for k := range have.exports {
		if k.volume == string(id) && !named[k] {
			strangers = append(strangers, mallee.IQN(k.initiator))
		}
	}
	if len(strangers) == 0 {
		return ""
	}
	return slices.Min(strangers)
}

func strangerMessage(initiator mallee.IQN) string {
	return fmt.Sprintf("the SAN exports it to %s, which no attachment names: attach it to that node again, and detach it there when it is no longer used", initiator)
}

// export starts what brings an export to its wish and returns what to report.
//
// An unwanted export is taken away even if the inventory has none: an operation
// that made it may have outlived its deadline, and the SAN does one thing at a
// time with a volume. Only an absence after that is reported.
func (r *reconciler) export(ctx context.Context, d *cloudv1.DesiredExport, have *inventory) *cloudv1.ExportReport {
	k, id, initiator := key{d.GetVolumeId(), d.GetInitiator()}, mallee.VolumeID(d.GetVolumeId()), mallee.IQN(d.GetInitiator())
	e, present := have.exports[k]
	report := &cloudv1.ExportReport{
		VolumeId: d.GetVolumeId(), InstanceId: d.GetInstanceId(), Generation: d.GetGeneration(), Present: present,
	}
	if present {
		report.Export = exportMessage(e)
	}
	chap := mallee.CHAP{Username: d.GetChap().GetUsername(), Password: d.GetChap().GetPassword()}
	work := work{key: k, request: d.GetRequestId(), instance: d.GetInstanceId()}
	_, exists := have.volumes[key{volume: d.GetVolumeId()}]
	switch {
	case r.busy[k]:
	case d.GetWanted() && present && r.told[initiator] == chap:
		report.Known = true
		delete(r.trouble, k)
	case d.GetWanted() && !exists:
		report.Message = "the SAN does not hold the volume"
		return report
	case d.GetWanted() && !present && r.stranger(id, have) != "":
		// Two nodes that write to one volume destroy what is on it.
		report.Message = strangerMessage(r.stranger(id, have))
		return report
	case d.GetWanted():
		// One that is there is exported again to tell the SAN the initiator's secret,
		// which the SAN tells nobody: one of each initiator's after a start, and when
		// the secret changes.
		report.Known = present
		work.op = "export"
		held := r.held(initiator, have)
		work.do = func(ctx context.Context, s SAN) error {
			_, err := s.Export(ctx, id, initiator, chap, held)
			return err
		}
		if r.start(ctx, work) {
			r.told[initiator] = chap
		}
	case !present && r.removed[k]:
		report.Known = true
	default:
		report.Known = present
		work.op, work.removes = "unexport", true
		released := have.lun(d)
		work.do = func(ctx context.Context, s SAN) error { return s.Unexport(ctx, id, initiator, released) }
		r.start(ctx, work)
	}
	report.Message = r.trouble[k].message
	return report
}

// held returns the LUNs that an initiator was told of, and has not been asked to let
// go of.
func (r *reconciler) held(initiator mallee.IQN, have *inventory) san.Seats {
	seats := san.Seats{}
	for _, d := range r.want.GetExports() {
		if lun := have.lun(d); lun != 0 && d.GetWanted() && d.GetInitiator() == string(initiator) {
			seats[lun] = mallee.VolumeID(d.GetVolumeId())
		}
	}
	return seats
}

// exportMessage returns what is told of an export.
func exportMessage(e san.Export) *cloudv1.Export {
	return &cloudv1.Export{Target: string(e.Target), Lun: uint32(e.LUN), Wwid: string(e.WWID), Portals: e.Portals}
}

// hopeless tells whether making or growing a volume need not be tried again.
func hopeless(err error) bool {
	switch mallee.KindOf(err) {
	case mallee.Exhausted, mallee.Invalid, mallee.Mismatch:
		return true
	}
	return false
}

// unknown reports that nothing is known, and why.
func unknown(want state, why error) *cloudv1.PartitionReport {
	report := &cloudv1.PartitionReport{}
	for _, d := range want.GetVolumes() {
		report.Volumes = append(report.Volumes, &cloudv1.VolumeReport{VolumeId: d.GetVolumeId(), Message: why.Error()})
	}
	for _, d := range want.GetExports() {
		report.Exports = append(report.Exports, &cloudv1.ExportReport{
			VolumeId: d.GetVolumeId(), InstanceId: d.GetInstanceId(), Generation: d.GetGeneration(), Message: why.Error(),
		})
	}
	return report
}
