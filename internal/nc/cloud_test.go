// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/site"
)

// cloud is a cloud controller in memory: it streams the states that a test sends
// it to the node, and hands the node's reports to the test.
type cloud struct {
	cloudv1.UnimplementedCloudServer
	listener *bufconn.Listener
	states   chan *cloudv1.NodeState
	reports  chan *cloudv1.NodeReport
	answers  chan *cloudv1.PathCheckAnswer
	watched  chan *cloudv1.WatchNodeRequest
	hangUp   chan struct{} // each ends one stream

	mu       sync.Mutex
	refusals int // how many reports are still to be refused
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{
		listener: bufconn.Listen(1 << 20),
		states:   make(chan *cloudv1.NodeState),
		reports:  make(chan *cloudv1.NodeReport),
		answers:  make(chan *cloudv1.PathCheckAnswer),
		watched:  make(chan *cloudv1.WatchNodeRequest),
		hangUp:   make(chan struct{}),
	}
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

func (c *cloud) WatchNode(request *cloudv1.WatchNodeRequest, stream grpc.ServerStreamingServer[cloudv1.NodeState]) error {
	select {
	case c.watched <- request:
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
	for {
		select {
		case state := <-c.states:
			if err := stream.Send(state); err != nil {
				return err
			}
		case <-c.hangUp:
			return status.Error(codes.Unavailable, "the test hung up")
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (c *cloud) ReportNode(ctx context.Context, report *cloudv1.NodeReport) (*cloudv1.ReportResponse, error) {
	c.mu.Lock()
	refused := c.refusals > 0
	if refused {
		c.refusals--
	}
	c.mu.Unlock()
	if refused {
		return nil, status.Error(codes.Unavailable, "the test refuses")
	}
	select {
	case c.reports <- report:
		return &cloudv1.ReportResponse{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *cloud) AnswerPathCheck(ctx context.Context, answer *cloudv1.PathCheckAnswer) (*cloudv1.ReportResponse, error) {
	select {
	case c.answers <- answer:
		return &cloudv1.ReportResponse{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// await returns the first report that is as wanted.
func (c *cloud) await(wanted func(*cloudv1.NodeReport) bool) *cloudv1.NodeReport {
	for {
		if report := <-c.reports; wanted(report) {
			return report
		}
	}
}

// node is a node controller without a machine: what it stands on is in memory.
type node struct {
	*fabric
	*atlas
}

// startNode runs a node controller with clouds as its cloud controllers. It ends
// with the test.
func startNode(t *testing.T, clouds ...*cloud) node {
	t.Helper()
	n := node{newFabric(), newAtlas()}
	n.start(t, clouds...)
	return n
}

// start runs a node controller on n until the test ends or stop is called.
func (n node) start(t *testing.T, clouds ...*cloud) (stop func()) {
	t.Helper()
	byAddr := map[string]*cloud{}
	o := Options{Partition: "PARTI00", Connector: n.fabric, Resolver: n.atlas, Log: slog.New(slog.DiscardHandler)}
	for i, c := range clouds {
		addr := string(rune('a' + i))
		o.CLC, byAddr[addr] = append(o.CLC, addr), c
	}
	o.Dial = func(addr string) (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return byAddr[addr].listener.DialContext(ctx)
			}))
	}
	r := newReporter(o.Log)
	k := newKeepers(o, r, newMetrics(nil))
	s := site.New(site.Options{
		Resolver: n.atlas, LoggedIn: n.fabric.LoggedIn, Found: r.setSite, Log: o.Log,
		Devices: func() ([]mallee.NetDevice, error) { return []mallee.NetDevice{{Name: "eth1", Up: true}}, nil },
		Judge:   n.fabric.judge,
	})
	f := newFollower(o, "iqn.2026-11.io.mallee:nc1", k, s, r)
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{f.run, k.run, s.Run} {
		parts.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
	})
	t.Cleanup(stop)
	return stop
}
