// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/agent"
)

// cloud is a cloud controller that sends one empty state, or refuses.
type cloud struct {
	cloudv1.UnimplementedCloudServer
	listener *bufconn.Listener
	refuses  atomic.Bool
	hangUp   chan struct{}
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{listener: bufconn.Listen(1 << 16), hangUp: make(chan struct{})}
	server := grpc.NewServer()
	cloudv1.RegisterCloudServer(server, c)
	var served sync.WaitGroup
	served.Go(func() { server.Serve(c.listener) })
	t.Cleanup(func() {
		server.Stop()
		served.Wait()
	})
	return c
}

func (c *cloud) WatchNode(_ *cloudv1.WatchNodeRequest, stream grpc.ServerStreamingServer[cloudv1.NodeState]) error {
	if c.refuses.Load() {
		return status.Error(codes.Unavailable, "not now")
	}
	if err := stream.Send(&cloudv1.NodeState{}); err != nil {
		return err
	}
	select {
	case <-c.hangUp:
		return status.Error(codes.Unavailable, "hung up")
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
}

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.String(), text)
}

// node runs an agent whose reports are made by report, until the test ends.
func node(t *testing.T, c *cloud, report func(context.Context, cloudv1.CloudClient) error, take func(context.Context, *cloudv1.NodeState)) *logged {
	t.Helper()
	log := &logged{}
	a := agent.New(agent.Options[cloudv1.NodeState]{
		CLC: []string{"clc1"},
		Dial: func(string) (*grpc.ClientConn, error) {
			return grpc.NewClient("passthrough:///clc1", grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.listener.DialContext(ctx) }))
		},
		Watch: func(ctx context.Context, client cloudv1.CloudClient) (grpc.ServerStreamingClient[cloudv1.NodeState], error) {
			return client.WatchNode(ctx, &cloudv1.WatchNodeRequest{})
		},
		Take: take, Report: report, Meanwhile: "it waits", Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return log
}

func TestAFailureIsLoggedOnceUntilItHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.refuses.Store(true)
		var fails atomic.Bool
		var reports atomic.Int32
		var last context.Context
		log := node(t, c, func(context.Context, cloudv1.CloudClient) error {
			reports.Add(1)
			if fails.Load() {
				return &mallee.Error{Op: "report", Kind: mallee.Unavailable, Err: errors.New("full")}
			}
			return nil
		}, func(ctx context.Context, _ *cloudv1.NodeState) { last = ctx })

		wait := func(d time.Duration) {
			time.Sleep(d) // of the bubble's clock
			synctest.Wait()
		}
		wait(time.Minute)
		if n := log.count("not now"); n != 1 || log.count("it waits") != 1 {
			t.Errorf("a minute of refusals made %d lines", n)
		}
		if reports.Load() != 0 {
			t.Error("something was reported to nobody")
		}
		c.refuses.Store(false)
		wait(2 * time.Second)
		if reports.Load() != 1 {
			t.Errorf("after the connect there were %d reports, want 1", reports.Load())
		}
		fails.Store(true)
		wait(2 * agent.ReportInterval)
		if n := log.count("cannot report to"); n != 1 || reports.Load() < 10 {
			t.Errorf("%d reports that failed made %d lines", reports.Load()-1, n)
		}
		fails.Store(false)
		if last.Err() != nil {
			t.Error("the state's context ended before its stream")
		}
		c.refuses.Store(true)
		c.hangUp <- struct{}{}
		wait(time.Minute)
		if n := log.count("not now"); n != 2 {
			t.Errorf("the second time of refusals has brought the lines to %d, want 2", n)
		}
		if last.Err() == nil {
			t.Error("the state's context has outlived its stream")
		}
	})
}
