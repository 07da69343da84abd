// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/grpc"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/rpc"
)

// cloud is a cloud controller that has wishes for one node and hears its reports.
// The node cannot tell it from the real one, which would take minutes to make as many
// volumes.
type cloud struct {
	cloudv1.UnimplementedCloudServer
	server *grpc.Server

	mu      sync.Mutex
	state   *cloudv1.NodeState
	changed chan struct{} // closed when state has changed
	report  *cloudv1.NodeReport
}

const (
	cloudAddr = "10.109.1.1:8774" // the lab's own address beside the machines
	partition = "PARTI00"
)

// startCloud serves wishes, none at first, and returns the bundle with which the node proves itself.
func startCloud(dir, node string) (*cloud, *rpc.Bundle, error) {
	authority, err := ca.OpenOrCreate(dir)
	if err != nil {
		return nil, nil, err
	}
	own, err := issue(authority, ca.IssueOptions{Role: rpc.CLC, Name: "clc"})
	if err != nil {
		return nil, nil, err
	}
	nodes, err := issue(authority, ca.IssueOptions{Role: rpc.NC, Name: node, Partition: partition})
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", cloudAddr)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot play the cloud: %w", err)
	}
	c := &cloud{
		server: rpc.NewServer(own, slog.New(slog.DiscardHandler), rpc.Only(rpc.NC)),
		state:  wish(0), changed: make(chan struct{}),
	}
	cloudv1.RegisterCloudServer(c.server, c)
	go func() { _ = c.server.Serve(listener) }() // it ends by close
	return c, nodes, nil
}

func issue(authority *ca.CA, o ca.IssueOptions) (*rpc.Bundle, error) {
	cert, key, root, err := authority.Issue(o)
	if err != nil {
		return nil, err
	}
	return rpc.ParseBundle(root, cert, key)
}

func (c *cloud) close() { c.server.Stop() }

// wishFor replaces the wish.
func (c *cloud) wishFor(state *cloudv1.NodeState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = state
	close(c.changed)
	c.changed = make(chan struct{})
}

// WatchNode sends the wish whenever it has changed.
func (c *cloud) WatchNode(_ *cloudv1.WatchNodeRequest, stream grpc.ServerStreamingServer[cloudv1.NodeState]) error {
	for {
		c.mu.Lock()
		state, changed := c.state, c.changed
		c.mu.Unlock()
		if err := stream.Send(state); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// ReportNode keeps what the node tells.
func (c *cloud) ReportNode(_ context.Context, r *cloudv1.NodeReport) (*cloudv1.ReportResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report = r
	return &cloudv1.ReportResponse{}, nil
}

// up returns how many volumes are attached, and how many of their paths are up.
func (c *cloud) up() (volumes, paths int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.report.GetAttachments() {
		if a.GetState() == cloudv1.AttachmentReport_STATE_ATTACHED {
			volumes++
		}
		for _, p := range a.GetPaths() {
			if p.GetState() == "up" {
				paths++
			}
		}
	}
	return volumes, paths
}
