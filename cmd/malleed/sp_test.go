// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	spv1 "github.com/mallee-io/mallee/api/sp/v1"
)

// stuck is a storage processor whose kernel does not come back.
type stuck struct {
	spv1.UnimplementedStorageProcessorServer
	called, end chan struct{}
}

func (s stuck) UnexportVolume(context.Context, *spv1.UnexportVolumeRequest) (*spv1.UnexportVolumeResponse, error) {
	close(s.called)
	<-s.end
	return nil, context.Canceled
}

func TestACallThatNeverEndsDoesNotKeepTheProcessFromEnding(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	processor := stuck{called: make(chan struct{}), end: make(chan struct{})}
	server := grpc.NewServer()
	spv1.RegisterStorageProcessorServer(server, processor)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = spv1.NewStorageProcessorClient(conn).UnexportVolume(t.Context(), &spv1.UnexportVolumeRequest{})
	}()
	<-processor.called
	defer close(processor.end)

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stopAdmin(server, 10*time.Millisecond)
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Error("the stuck call is still waited for")
	}
}
