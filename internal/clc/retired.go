// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"sync"

	"google.golang.org/protobuf/proto"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// retirees are the LUNs that SANs keep from other volumes, since a node that once
// was offered a volume there has not confirmed that it has no disk of it. Each node
// is asked to let go, as of an attachment that must go, and then the storage
// controller is told. None of it is stored: a controller that was just started is
// told anew, and asks anew.
type retirees struct {
	log *slog.Logger

	mu          sync.Mutex
	byPartition map[string][]*retiree
}

// retiree is one such LUN. Only released ever changes.
type retiree struct {
	*cloudv1.RetiredLUN
	// generation is a number that no wish for the volume has had, and that only this
	// node is told: what was confirmed before is no confirmation now.
	generation uint64
	released   bool
}

func newRetirees(log *slog.Logger) *retirees {
	return &retirees{log: log, byPartition: map[string][]*retiree{}}
}

// controllerReported takes the list of a storage controller, and reports whether
// anybody has to be told.
func (rs *retirees) controllerReported(ctx context.Context, partition string, report *cloudv1.PartitionReport) (news bool) {
	if len(report.GetPortals()) == 0 {
		return false // the SAN does not answer
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	before := rs.byPartition[partition]
	var list []*retiree
	for _, l := range report.GetRetired() {
		r := find(before, func(r *retiree) bool { return proto.Equal(r.RetiredLUN, l) })
		if r == nil {
			r, news = &retiree{RetiredLUN: l, generation: newGeneration()}, true
			rs.log.InfoContext(ctx, "a LUN is kept until its node has let go", "volume_id", l.GetVolumeId(),
				"initiator", l.GetInitiator(), "lun", l.GetExport().GetLun())
		}
		list = append(list, r)
	}
	rs.byPartition[partition] = list
	return news || len(list) != len(before)
}

func newGeneration() uint64 {
	var random [8]byte
	_, _ = rand.Read(random[:]) // crypto/rand's never fails.
	return binary.NativeEndian.Uint64(random[:])
}

// nodeReported takes what a node of a partition says of a volume, and reports
// whether anybody has to be told.
func (rs *retirees) nodeReported(ctx context.Context, partition string, report *cloudv1.AttachmentReport) (news bool) {
	if report.GetState() != cloudv1.AttachmentReport_STATE_DETACHED {
		return false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := find(rs.byPartition[partition], func(r *retiree) bool {
		return r.GetVolumeId() == report.GetVolumeId() && r.generation == report.GetGeneration()
	})
	if r == nil || r.released {
		return false
	}
	r.released = true
	rs.log.InfoContext(ctx, "the node has let go of a LUN that was kept", "volume_id", r.GetVolumeId(),
		"initiator", r.GetInitiator(), "lun", r.GetExport().GetLun())
	return true
}

// addToPartition has the storage controller release the LUNs of which the nodes have
// let go. That of a volume that is to be exported there again is not released.
func (rs *retirees) addToPartition(state *cloudv1.PartitionState) *cloudv1.PartitionState {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.byPartition[state.GetPartition()] {
		wished := find(state.Exports, func(d *cloudv1.DesiredExport) bool {
			return d.GetVolumeId() == r.GetVolumeId() && d.GetInitiator() == r.GetInitiator()
		})
		if r.released && wished == nil {
			state.Exports = append(state.Exports, &cloudv1.DesiredExport{
				VolumeId: r.GetVolumeId(), Initiator: r.GetInitiator(), Generation: r.generation, Export: r.GetExport(),
			})
		}
	}
	return state
}

// addToNode has a node let go of what is kept for it. A volume that is attached to it
// is not among that: its detach will do.
func (rs *retirees) addToNode(state *cloudv1.NodeState, node nodeRecord) *cloudv1.NodeState {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.byPartition[node.Partition] {
		wished := find(state.Attachments, func(d *cloudv1.DesiredAttachment) bool { return d.GetVolumeId() == r.GetVolumeId() })
		if r.GetInitiator() == string(node.Initiator) && !r.released && wished == nil {
			state.Attachments = append(state.Attachments, &cloudv1.DesiredAttachment{
				VolumeId: r.GetVolumeId(), Generation: r.generation, Export: r.GetExport(),
			})
		}
	}
	return state
}

// find returns the first that ok accepts, or nil.
func find[T any](list []*T, ok func(*T) bool) *T {
	for _, e := range list {
		if ok(e) {
			return e
		}
	}
	return nil
}
