// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// caller returns the part that calls, which must be of a role. The server lets
// in parts of every role; each method but Renew is for one.
func caller(ctx context.Context, want rpc.Role) (rpc.Identity, error) {
	id, err := rpc.Peer(ctx)
	if err != nil {
		return rpc.Identity{}, err
	}
	if id.Role != want {
		return rpc.Identity{}, refuse("answer", mallee.Denied, id.Name, "this is for parts of role %q and not %q", want, id.Role)
	}
	return id, nil
}

// inOwnPartition refuses a part that asks for a partition that it has not joined.
func inOwnPartition(op string, id rpc.Identity, partition string) error {
	if partition == id.Partition {
		return nil
	}
	return &mallee.Error{
		Op: op, Kind: mallee.Denied, ID: id.Name,
		Hint: "set the partition in its configuration right, or have it join with a token for the other one (mallee token create)",
		Err:  fmt.Errorf("it has joined partition %s and asks for %q", id.Partition, partition),
	}
}

// WatchPartition implements cloudv1.CloudServer.
func (c *Controller) WatchPartition(req *cloudv1.WatchPartitionRequest, stream cloudv1.Cloud_WatchPartitionServer) error {
	ctx, partition := stream.Context(), req.GetPartition()
	id, err := caller(ctx, rpc.SC)
	if err != nil {
		return err
	}
	if err := inOwnPartition("serve partition as", id, partition); err != nil {
		return err
	}
	name := id.Name
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
	st, left := c.sites.openController(name, partition)
	defer left()
	return send(ctx, c.feed, st.woken, stream.Send, func(v *view) (*cloudv1.PartitionState, error) {
		return c.retirees.addToPartition(c.sites.addToPartition(v.partitionState(partition), st)), c.stillMember(ctx, v, id)
	})
}

// WatchNode implements cloudv1.CloudServer.
func (c *Controller) WatchNode(req *cloudv1.WatchNodeRequest, stream cloudv1.Cloud_WatchNodeServer) error {
	ctx := stream.Context()
	id, err := caller(ctx, rpc.NC)
	if err != nil {
		return err
	}
	if err := inOwnPartition("admit node", id, req.GetPartition()); err != nil {
		return err
	}
	name := id.Name
	// Before anything is written: the copy of a machine must not change what is
	// recorded of the one that is connected.
	closed, err := c.presence.openNode(name)
	if err != nil {
		c.log.WarnContext(ctx, "node refused", "node", name, "error", err)
		return err
	}
	defer closed()
	r, err := c.admit(ctx, id, mallee.IQN(req.GetInitiator()))
	if err != nil {
		c.log.WarnContext(ctx, "node refused", "node", name, "error", err)
		return err
	}
	c.log.InfoContext(ctx, "node connected", "node", name, "instance_id", r.InstanceID)
	defer c.log.InfoContext(ctx, "node disconnected", "node", name, "instance_id", r.InstanceID)
	v, _ := c.feed.current()
	st, left := c.sites.openNode(v, name, r, req.GetNcpaths())
	defer left()
	return send(ctx, c.feed, st.woken, stream.Send, func(v *view) (*cloudv1.NodeState, error) {
		return c.retirees.addToNode(c.sites.addToNode(v.nodeState(r), st), r), c.stillMember(ctx, v, id)
	})
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
// time it differs from the one sent last, until ctx ends or build fails. Woken
// tells that it may differ although the view is the same.
func send[M proto.Message](ctx context.Context, f *feed, woken <-chan struct{}, send func(M) error, build func(*view) (M, error)) error {
	var last proto.Message
	for {
		v, renewed := f.current()
		state, err := build(v)
		if err != nil {
			return err
		}
		if last == nil || !proto.Equal(last, state) {
			if err := send(state); err != nil {
				return err
			}
			last = state
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-renewed:
		case <-woken:
		}
	}
}

// ReportPartition implements cloudv1.CloudServer.
func (c *Controller) ReportPartition(ctx context.Context, report *cloudv1.PartitionReport) (*cloudv1.ReportResponse, error) {
	id, err := caller(ctx, rpc.SC)
	if err != nil {
		return nil, err
	}
	if err := inOwnPartition("report as", id, report.GetPartition()); err != nil {
		return nil, err
	}
	if err := c.presence.reported(report.GetPartition(), id.Name, report.GetPool()); err != nil {
		return nil, err
	}
	c.sites.controllerReported(id.Name, report.GetPartition(), report)
	if c.retirees.controllerReported(ctx, report.GetPartition(), report) {
		c.sites.wakePartition(report.GetPartition())
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
	id, err := caller(ctx, rpc.NC)
	if err != nil {
		return nil, err
	}
	if live, _ := c.presence.node(id.Name); !live {
		return nil, refuse("report on node", mallee.IncorrectState, id.Name, "it has no stream open")
	}
	c.sites.nodeReported(id.Name, report)
	for _, r := range report.GetAttachments() {
		if err := c.attachmentReported(ctx, id.Name, r); err != nil {
			return nil, err
		}
		if c.retirees.nodeReported(ctx, id.Partition, r) {
			c.sites.wakePartition(id.Partition)
		}
	}
	return &cloudv1.ReportResponse{}, nil
}
