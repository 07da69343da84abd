// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// caller returns the name of the agent that calls, which must be of a role. The
// server lets in agents of every role; each method is for one.
func caller(ctx context.Context, want rpc.Role) (string, error) {
	role, name, err := rpc.Peer(ctx)
	if err != nil {
		return "", err
	}
	if role != want {
		return "", refuse("answer", mallee.Denied, name, "this is for parts of role %q and not %q", want, role)
	}
	return name, nil
}

// WatchPartition implements cloudv1.CloudServer.
func (c *Controller) WatchPartition(req *cloudv1.WatchPartitionRequest, stream cloudv1.Cloud_WatchPartitionServer) error {
	ctx, partition := stream.Context(), req.GetPartition()
	name, err := caller(ctx, rpc.SC)
	if err != nil {
		return err
	}
	if !mallee.ValidPartition(partition) {
		return refuse("serve partition", mallee.Invalid, partition, "write a letter, then up to 62 letters, digits, '_' and '-'")
	}
	closed, err := c.presence.openPartition(partition, name)
	if err != nil {
		c.log.WarnContext(ctx, "storage controller refused", "sc", name, "partition", partition, "error", err)
		return err
	}
	defer closed()
	if err := c.admitPartition(ctx, partition); err != nil {
		return err
	}
	c.log.InfoContext(ctx, "storage controller connected", "sc", name, "partition", partition)
	defer c.log.InfoContext(ctx, "storage controller disconnected", "sc", name, "partition", partition)
	return send(ctx, c.feed, stream.Send, func(v *view) *cloudv1.PartitionState { return v.partitionState(partition) })
}

// WatchNode implements cloudv1.CloudServer.
func (c *Controller) WatchNode(req *cloudv1.WatchNodeRequest, stream cloudv1.Cloud_WatchNodeServer) error {
	ctx := stream.Context()
	name, err := caller(ctx, rpc.NC)
	if err != nil {
		return err
	}
	// Before anything is written: the copy of a machine must not change what is
	// recorded of the one that is connected.
	closed, err := c.presence.openNode(name)
	if err != nil {
		c.log.WarnContext(ctx, "node refused", "node", name, "error", err)
		return err
	}
	defer closed()
	r, err := c.admit(ctx, name, req.GetPartition(), mallee.IQN(req.GetInitiator()))
	if err != nil {
		c.log.WarnContext(ctx, "node refused", "node", name, "error", err)
		return err
	}
	c.log.InfoContext(ctx, "node connected", "node", name, "instance_id", r.InstanceID)
	defer c.log.InfoContext(ctx, "node disconnected", "node", name, "instance_id", r.InstanceID)
	return send(ctx, c.feed, stream.Send, func(v *view) *cloudv1.NodeState { return v.nodeState(r) })
}

// admitPartition makes a partition known at its storage controller's first connection.
func (c *Controller) admitPartition(ctx context.Context, partition string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		_, known, err := partitions.Get(tx, partition)
		if err != nil || known {
			return err
		}
		return partitions.Put(tx, partition, partitionRecord{Created: time.Now().UTC()})
	})
}

// send sends the state that build makes of the latest view, at once and each
// time it differs from the one sent last, until ctx ends.
func send[M proto.Message](ctx context.Context, f *feed, send func(M) error, build func(*view) M) error {
	var last proto.Message
	for {
		v, renewed := f.current()
		if state := build(v); last == nil || !proto.Equal(last, state) {
			if err := send(state); err != nil {
				return err
			}
			last = state
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-renewed:
		}
	}
}

// ReportPartition implements cloudv1.CloudServer.
func (c *Controller) ReportPartition(ctx context.Context, report *cloudv1.PartitionReport) (*cloudv1.ReportResponse, error) {
	name, err := caller(ctx, rpc.SC)
	if err != nil {
		return nil, err
	}
	if err := c.presence.reported(report.GetPartition(), name, report.GetPool()); err != nil {
		return nil, err
	}
	// Exports first: they are few, somebody waits for each, and a partition has
	// volumes by the thousand.
	for _, r := range report.GetExports() {
		if err := c.exportReported(ctx, report.GetPartition(), r); err != nil {
			return nil, err
		}
	}
	for _, r := range report.GetVolumes() {
		if err := c.volumeReported(ctx, report.GetPartition(), r); err != nil {
			return nil, err
		}
	}
	return &cloudv1.ReportResponse{}, nil
}

// ReportNode implements cloudv1.CloudServer.
func (c *Controller) ReportNode(ctx context.Context, report *cloudv1.NodeReport) (*cloudv1.ReportResponse, error) {
	name, err := caller(ctx, rpc.NC)
	if err != nil {
		return nil, err
	}
	if live, _ := c.presence.node(name); !live {
		return nil, refuse("report on node", mallee.IncorrectState, name, "it has no stream open")
	}
	for _, r := range report.GetAttachments() {
		if err := c.attachmentReported(ctx, name, r); err != nil {
			return nil, err
		}
	}
	return &cloudv1.ReportResponse{}, nil
}
