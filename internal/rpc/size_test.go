// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
)

// echo sends a state with as long a property as the report before was.
type echo struct {
	cloudv1.UnimplementedCloudServer
	size int
}

func (e *echo) ReportNode(_ context.Context, r *cloudv1.NodeReport) (*cloudv1.ReportResponse, error) {
	e.size = len(r.GetAttachments()[0].GetMessage())
	return &cloudv1.ReportResponse{}, nil
}

func (e *echo) WatchNode(_ *cloudv1.WatchNodeRequest, stream cloudv1.Cloud_WatchNodeServer) error {
	return stream.Send(&cloudv1.NodeState{Ncpaths: strings.Repeat("x", e.size)})
}

// A state and a report are told whole, and gRPC's own limit of 4 MiB is reached
// with some ten thousand volumes.
func TestLargeMessagesPassBothWays(t *testing.T) {
	a := newCA(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(issue(t, a, rpc.CLC, "clc1"), slog.New(slog.DiscardHandler), rpc.Only(rpc.NC))
	cloudv1.RegisterCloudServer(s, &echo{})
	go s.Serve(listener)
	t.Cleanup(s.Stop)
	client := dial(t, listener.Addr().String(), issue(t, a, rpc.NC, "nc1"), rpc.CLC)

	const size = 20 << 20
	report := &cloudv1.NodeReport{Attachments: []*cloudv1.AttachmentReport{{Message: strings.Repeat("x", size)}}}
	if _, err := client.ReportNode(t.Context(), report); err != nil {
		t.Fatalf("a report of %d bytes: %v", size, err)
	}
	stream, err := client.WatchNode(t.Context(), &cloudv1.WatchNodeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if state, err := stream.Recv(); err != nil || len(state.GetNcpaths()) != size {
		t.Errorf("a state of %d bytes came as %d: %v", size, len(state.GetNcpaths()), err)
	}
}
