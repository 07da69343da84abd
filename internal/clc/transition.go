// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// step returns the volume as it is after a report of the SAN, and whether it is
// gone. Twin is the id of another volume with the reported identity, or empty.
func (r volumeRecord) step(report *cloudv1.VolumeReport, twin string, now time.Time) (next volumeRecord, gone bool) {
	wwid := mallee.WWID(report.GetWwid())
	present := report.GetKnown() && report.GetPresent()
	switch r.State {
	case mallee.VolumeCreating:
		r.Message = report.GetMessage()
		switch {
		case report.GetFailed():
			r.State = mallee.VolumeError
		case !present:
		case !wwid.Valid():
			r.Message = fmt.Sprintf("the SAN gives it no usable identity: %q", wwid)
		case twin != "":
			// Two LUNs with one identity become one map on a node, with the paths
			// of both: the data of two volumes mixed.
			r.State, r.Message = mallee.VolumeError, fmt.Sprintf("the SAN gave it %s, the identity of %s", wwid, twin)
		default:
			r.State, r.WWID = mallee.VolumeAvailable, wwid
		}
	case mallee.VolumeAvailable, mallee.VolumeInUse:
		r.Message = report.GetMessage()
		switch {
		case present && wwid != r.WWID:
			r.Message = fmt.Sprintf("the SAN gives it the identity %s instead of %s", wwid, r.WWID)
		case present:
			r = r.grown(report.GetSizeBytes(), report.GetFailed(), report.GetMessage(), now)
		}
	case mallee.VolumeDeleting:
		r.Message = report.GetMessage()
		gone = report.GetKnown() && !report.GetPresent()
	case mallee.VolumeError: // says why since it came to this state
	}
	return r, gone
}

// stepExport returns the attachment as it is after a report on its export, and
// whether it is gone. Wwid is the identity that the volume has. The error says
// why the export must not reach the node.
func (a attachmentRecord) stepExport(report *cloudv1.ExportReport, wwid mallee.WWID) (next attachmentRecord, gone bool, err error) {
	// Until the volume is exported, and after it was released, the storage
	// controller tells what stands in the way; in between the node does.
	speaks := a.Released || a.Wanted && a.Export == nil
	message := report.GetMessage()
	switch {
	case !report.GetKnown():
	case a.Released:
		gone = !report.GetPresent()
	case a.Wanted && report.GetPresent():
		e, exportErr := export(report.GetExport(), wwid)
		if exportErr != nil {
			err, message = exportErr, exportErr.Error()
		} else if a.Export == nil || !sameExport(*a.Export, e) {
			a.Export = &e
		}
	}
	if speaks {
		a.Message = message
	}
	return a, gone, err
}

// stepNode returns the attachment as it is after a report of its node.
func (a attachmentRecord) stepNode(report *cloudv1.AttachmentReport) attachmentRecord {
	switch {
	case a.Released:
		return a
	case a.Wanted && report.GetState() == cloudv1.AttachmentReport_STATE_ATTACHED && a.Export != nil:
		a.DeviceBytes = report.GetSizeBytes()
		a.State, a.HostDevice = mallee.Attached, report.GetDevice()
	case a.Wanted && report.GetState() == cloudv1.AttachmentReport_STATE_ATTACHING:
		// Also what was attached: its node has restarted, and has not yet got its
		// device back.
		a.State, a.HostDevice, a.DeviceBytes = mallee.Attaching, "", 0
	case !a.Wanted && report.GetState() == cloudv1.AttachmentReport_STATE_DETACHED:
		a.Released, a.HostDevice = true, ""
	}
	if a.Export != nil || !a.Wanted {
		a.Message = report.GetMessage()
	}
	return a
}

// export reads an export, whose identity must be the volume's: what is handed to
// a node as this volume must be this volume.
func export(e *cloudv1.Export, wwid mallee.WWID) (mallee.Export, error) {
	if mallee.WWID(e.GetWwid()) != wwid {
		return mallee.Export{}, fmt.Errorf("the SAN exports %s, and the volume is %s", e.GetWwid(), wwid)
	}
	target := mallee.IQN(e.GetTarget())
	if !target.Valid() {
		return mallee.Export{}, fmt.Errorf("the SAN's target %q is no iqn name", target)
	}
	if e.GetLun() > maxLUN {
		return mallee.Export{}, fmt.Errorf("the SAN's LUN %d is beyond %d", e.GetLun(), maxLUN)
	}
	for _, p := range e.GetPortals() {
		if _, err := netip.ParseAddrPort(p); err != nil {
			return mallee.Export{}, fmt.Errorf("the SAN's portal %q is no address:port", p)
		}
	}
	return mallee.Export{Target: target, LUN: uint16(e.GetLun()), WWID: wwid, Portals: e.GetPortals()}, nil
}

// maxLUN is the highest LUN in flat space addressing (SAM-5 §4.7.7.3), 14 bits.
const maxLUN = 1<<14 - 1

func sameExport(a, b mallee.Export) bool {
	return a.Target == b.Target && a.LUN == b.LUN && a.WWID == b.WWID && slices.Equal(a.Portals, b.Portals)
}
