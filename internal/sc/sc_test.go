// SPDX-License-Identifier: Apache-2.0

package sc_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/resolve"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/mem"
	"github.com/mallee-io/mallee/internal/sc"
	"github.com/mallee-io/mallee/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cloud is a cloud controller that wants one volume.
type cloud struct {
	cloudv1.UnimplementedCloudServer
	reports chan *cloudv1.PartitionReport
	answers chan *cloudv1.PathCheckAnswer // of the check that it asks for
}

func (c cloud) WatchPartition(req *cloudv1.WatchPartitionRequest, stream cloudv1.Cloud_WatchPartitionServer) error {
	err := stream.Send(&cloudv1.PartitionState{
		Partition: req.GetPartition(), Sanhost: "10.109.1.26",
		Volumes: []*cloudv1.DesiredVolume{{VolumeId: "vol-00000001", SizeBytes: mallee.GiB, Wanted: true}},
		Scpaths: "nosuch:10.108.1.200",
		Checks:  []*cloudv1.PathCheck{{Id: "1", Paths: "other:10.107.1.200"}},
	})
	<-stream.Context().Done()
	return err
}

func (c cloud) ReportPartition(ctx context.Context, r *cloudv1.PartitionReport) (*cloudv1.ReportResponse, error) {
	select {
	case c.reports <- r:
	case <-ctx.Done():
	}
	return &cloudv1.ReportResponse{}, nil
}

func (c cloud) AnswerPathCheck(ctx context.Context, a *cloudv1.PathCheckAnswer) (*cloudv1.ReportResponse, error) {
	select {
	case c.answers <- a:
	case <-ctx.Done():
	}
	return &cloudv1.ReportResponse{}, nil
}

func (c cloud) serve(t *testing.T, listener net.Listener) (kill func()) {
	t.Helper()
	s := grpc.NewServer()
	cloudv1.RegisterCloudServer(s, c)
	go s.Serve(listener)
	return s.Stop
}

func (c cloud) await(t *testing.T, what string, ok func(*cloudv1.PartitionReport) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case r := <-c.reports:
			if ok(r) {
				return
			}
		case <-deadline:
			t.Fatalf("no report of %s", what)
		}
	}
}

type openSAN struct{ *mem.SAN }

func (openSAN) Close() error { return nil }

func TestTheCloudControllerComesAndGoes(t *testing.T) {
	c := cloud{reports: make(chan *cloudv1.PartitionReport), answers: make(chan *cloudv1.PathCheckAnswer, 2)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	kill := c.serve(t, listener)
	var opened mallee.Endpoint
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- sc.Run(ctx, sc.Options{
			Partition: "PARTI00",
			CLC:       []string{dead.Addr().String(), listener.Addr().String()},
			Dial: func(addr string) (*grpc.ClientConn, error) {
				return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			},
			Open: func(hosts []mallee.Endpoint, _ func() san.Login) (sc.SAN, error) {
				opened = hosts[0]
				return openSAN{mem.New(san.Info{Name: "mem", Target: "iqn.2026-11.io.mallee:mem", Portals: []string{"10.107.1.200:3260"}, PoolSizeBytes: 100 * mallee.GiB})}, nil
			},
			Resolver: resolve.New(resolve.Options{}),
			Log:      slog.New(slog.DiscardHandler),
			Registry: telemetry.NewRegistry(),
		})
	}()
	present := func(r *cloudv1.PartitionReport) bool {
		return r.GetPartition() == "PARTI00" && len(r.GetVolumes()) == 1 && r.Volumes[0].GetKnown() && r.Volumes[0].GetPresent()
	}
	c.await(t, "the volume, of what the SAN advertises, and of what the paths to it mean here", func(r *cloudv1.PartitionReport) bool {
		reach := r.GetSite().GetReach()
		return present(r) && len(r.GetPortals()) == 1 && len(reach) == 1 && len(r.GetSite().GetDevices()) > 0 &&
			reach[0].GetText() == "nosuch:10.108.1.200" && reach[0].GetState() == string(mallee.Unresolved)
	})
	if a := <-c.answers; a.GetId() != "1" || len(a.GetReach()) != 1 || a.Reach[0].GetLabel() != "other" {
		t.Errorf("the path check is answered with %v", a)
	}
	if opened.String() != "10.109.1.26:8775" {
		t.Errorf("the SAN was opened at %s", opened)
	}

	kill()
	if listener, err = net.Listen("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	kill = c.serve(t, listener)
	c.await(t, "the volume after a restart of the cloud controller", present)

	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	kill()
}
