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
	settings := v.settings(partition)
	s := &cloudv1.PartitionState{
		Partition: partition, Sanhost: settings[mallee.PropertySANHost], Scpaths: settings[scPaths],
		SanUser: settings[mallee.PropertySANUser], SanPassword: settings[mallee.PropertySANPassword],
		ResourcePrefix: settings[mallee.PropertyResourcePrefix], ResourceSuffix: settings[mallee.PropertyResourceSuffix],
	}
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
			Generation: a.Generation, Wanted: !a.Released, RequestId: string(a.RequestID), Chap: chap(node.CHAP, settings),
			Export: exportMessage(a.Export),
		})
	}
	return s
}

// nodeState is what a node controller is sent.
func (v *view) nodeState(r nodeRecord) *cloudv1.NodeState {
	settings := v.settings(r.Partition)
	s := &cloudv1.NodeState{
		InstanceId: string(r.InstanceID), Chap: chap(r.CHAP, settings), Ncpaths: settings[ncPaths],
		NopathTimeoutSeconds: uint32(number(settings[mallee.PropertyNoPathTimeout])),
		MinPaths:             uint32(number(settings[mallee.PropertyMinPaths])),
	}
	for _, id := range v.byInstance[r.InstanceID] {
		a := v.attachments[id]
		d := &cloudv1.DesiredAttachment{
			VolumeId: id, Generation: a.Generation, Wanted: a.Wanted, RequestId: string(a.RequestID),
			SizeBytes: v.volumes[id].bytes(), Export: exportMessage(a.Export),
		}
		s.Attachments = append(s.Attachments, d)
	}
	return s
}

// exportMessage returns what is told of an export, nil for none.
func exportMessage(e *mallee.Export) *cloudv1.Export {
	if e == nil {
		return nil
	}
	return &cloudv1.Export{Target: string(e.Target), Lun: uint32(e.LUN), Wwid: string(e.WWID), Portals: e.Portals}
}

// chap returns what a node proves itself with: its own secret, under its own name
// unless chapuser gives all nodes one. It returns nil for a node that has not
// connected since it was to get a secret.
func chap(c mallee.CHAP, settings map[string]string) *cloudv1.Chap {
	if c.Username == "" {
		return nil
	}
	if user := settings[mallee.PropertyCHAPUser]; user != mallee.NoUser {
		c.Username = user
	}
	return &cloudv1.Chap{Username: c.Username, Password: c.Password}
}

// number reads a value that its property's check has passed.
func number(value string) int {
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0
	}
	return n
}
