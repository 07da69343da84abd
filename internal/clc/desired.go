// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"maps"
	"slices"
	"strconv"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// partitionState is what a storage controller is sent. A volume in the state
// error is left out: nobody wants it made any more, and it is not yet to be
// removed.
func (v *view) partitionState(partition string) *cloudv1.PartitionState {
	s := &cloudv1.PartitionState{Partition: partition, Sanhost: v.settings(partition)[sanHost]}
	for _, id := range slices.Sorted(maps.Keys(v.volumes)) {
		r := v.volumes[id]
		if r.Partition != partition || r.State == mallee.VolumeError {
			continue
		}
		// A volume that was made once goes without a size, so that it is never
		// made a second time: should the SAN have lost it, or sanhost name another
		// SAN, an empty volume must not take its place.
		var size, grow uint64
		switch r.State {
		case mallee.VolumeCreating:
			size = r.bytes()
		case mallee.VolumeAvailable, mallee.VolumeInUse:
			grow = r.Growth.wish()
		}
		s.Volumes = append(s.Volumes, &cloudv1.DesiredVolume{
			VolumeId: id, SizeBytes: size, Wanted: r.State != mallee.VolumeDeleting, RequestId: string(r.RequestID),
			GrowToBytes: grow,
		})
	}
	for _, id := range slices.Sorted(maps.Keys(v.attachments)) {
		a := v.attachments[id]
		if a.Partition != partition {
			continue
		}
		_, node, _ := v.node(a.InstanceID)
		s.Exports = append(s.Exports, &cloudv1.DesiredExport{
			VolumeId: id, InstanceId: string(a.InstanceID), Initiator: string(a.Initiator),
			Generation: a.Generation, Wanted: !a.Released, RequestId: string(a.RequestID), Chap: chap(node.CHAP),
		})
	}
	return s
}

// nodeState is what a node controller is sent.
func (v *view) nodeState(r nodeRecord) *cloudv1.NodeState {
	settings := v.settings(r.Partition)
	s := &cloudv1.NodeState{
		InstanceId: string(r.InstanceID), Chap: chap(r.CHAP), Ncpaths: settings[ncPaths], NopathTimeoutSeconds: seconds(settings[noPathTimeout]),
	}
	for _, id := range v.byInstance[r.InstanceID] {
		a := v.attachments[id]
		d := &cloudv1.DesiredAttachment{
			VolumeId: id, Generation: a.Generation, Wanted: a.Wanted, RequestId: string(a.RequestID),
			SizeBytes: v.volumes[id].bytes(),
		}
		if e := a.Export; e != nil {
			d.Export = &cloudv1.Export{Target: string(e.Target), Lun: uint32(e.LUN), Wwid: string(e.WWID), Portals: e.Portals}
		}
		s.Attachments = append(s.Attachments, d)
	}
	return s
}

// chap returns nil for a node that has not connected since it was to get one.
func chap(c mallee.CHAP) *cloudv1.Chap {
	if c.Username == "" {
		return nil
	}
	return &cloudv1.Chap{Username: c.Username, Password: c.Password}
}

// seconds reads a value that checkSeconds has passed.
func seconds(value string) uint32 {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
