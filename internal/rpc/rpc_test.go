// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers ReportNode with what reply returns.
type server struct {
	cloudv1.UnimplementedCloudServer
	reply func(context.Context) error
}

func (s server) ReportNode(ctx context.Context, _ *cloudv1.NodeReport) (*cloudv1.ReportResponse, error) {
	return &cloudv1.ReportResponse{}, s.reply(ctx)
}

func (s server) WatchNode(_ *cloudv1.WatchNodeRequest, stream cloudv1.Cloud_WatchNodeServer) error {
	return s.reply(stream.Context())
}

func issue(t *testing.T, a *ca.CA, role rpc.Role, name string) *rpc.Bundle {
	t.Helper()
	return issueIn(t, a, role, name, "PARTI00")
}

func issueIn(t *testing.T, a *ca.CA, role rpc.Role, name, partition string) *rpc.Bundle {
	t.Helper()
	if role == rpc.CLC {
		partition = ""
	}
	cert, key, root, err := a.Issue(ca.IssueOptions{Role: role, Name: name, Partition: partition, Joining: "j1"})
	if err != nil {
		t.Fatal(err)
	}
	made, err := rpc.ParseBundle(root, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "certs")
	if err := made.Write(dir); err != nil {
		t.Fatal(err)
	}
	b, err := rpc.LoadBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newCA(t *testing.T) *ca.CA {
	t.Helper()
	a, err := ca.OpenOrCreate(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve returns the address of a cloud controller that only NCs may call.
func serve(t *testing.T, a *ca.CA, reply func(context.Context) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(issue(t, a, rpc.CLC, "clc1"), slog.New(slog.DiscardHandler), rpc.Only(rpc.NC))
	cloudv1.RegisterCloudServer(s, server{reply: reply})
	go s.Serve(listener)
	t.Cleanup(s.Stop)
	return listener.Addr().String()
}

func dial(t *testing.T, addr string, b *rpc.Bundle, role rpc.Role) cloudv1.CloudClient {
	t.Helper()
	conn, err := rpc.Dial(addr, b, role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return cloudv1.NewCloudClient(conn)
}

func TestHandlerKnowsTheCallerAndTheRequest(t *testing.T) {
	a := newCA(t)
	var caller rpc.Identity
	var request mallee.RequestID
	addr := serve(t, a, func(ctx context.Context) (err error) {
		caller, err = rpc.Peer(ctx)
		request = telemetry.RequestID(ctx)
		return err
	})
	client := dial(t, addr, issue(t, a, rpc.NC, "nc1"), rpc.CLC)
	ctx := telemetry.WithRequestID(t.Context(), "0b1c-request")
	if _, err := client.ReportNode(ctx, &cloudv1.NodeReport{}); err != nil {
		t.Fatal(err)
	}
	caller.Serial = "" // random
	if want := (rpc.Identity{Role: rpc.NC, Name: "nc1", Partition: "PARTI00", Joining: "j1"}); caller != want || request != "0b1c-request" {
		t.Errorf("the handler saw %+v, request %q", caller, request)
	}
}

func TestErrorsSurviveTheWire(t *testing.T) {
	a := newCA(t)
	var reply error
	addr := serve(t, a, func(context.Context) error { return reply })
	client := dial(t, addr, issue(t, a, rpc.NC, "nc1"), rpc.CLC)

	for _, kind := range []mallee.Kind{
		mallee.Invalid, mallee.Malformed, mallee.NotFound, mallee.InUse, mallee.NotAttached, mallee.IncorrectState,
		mallee.ZoneMismatch, mallee.Exhausted, mallee.ReadOnly, mallee.Mismatch, mallee.Denied, mallee.Unavailable, mallee.PathsUnreachable, mallee.Changed, mallee.OverLimit, mallee.Internal,
	} {
		t.Run(string(kind), func(t *testing.T) {
			sent := &mallee.Error{Op: "attach", Kind: kind, ID: "vol-1a2b3c4d", Hint: "detach it first", Err: errors.New("it is elsewhere")}
			reply = sent
			check := func(err error) {
				t.Helper()
				got, ok := errors.AsType[*mallee.Error](err)
				if !ok {
					t.Fatalf("got %v, want a mallee.Error", err)
				}
				if got.Kind != kind || got.ID != sent.ID || got.Op != sent.Op || got.Hint != sent.Hint || got.Error() != sent.Error() {
					t.Errorf("got %+v, want %+v", got, sent)
				}
			}
			_, err := client.ReportNode(t.Context(), &cloudv1.NodeReport{})
			check(err)
			stream, err := client.WatchNode(t.Context(), &cloudv1.WatchNodeRequest{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			check(err)
		})
	}
}

func TestOtherErrors(t *testing.T) {
	a := newCA(t)
	var reply func(context.Context) error
	addr := serve(t, a, func(ctx context.Context) error { return reply(ctx) })
	nc := issue(t, a, rpc.NC, "nc1")

	for name, c := range map[string]struct {
		reply  func(context.Context) error
		bundle *rpc.Bundle
		peer   rpc.Role
		kind   mallee.Kind
		code   codes.Code
	}{
		"plain error":          {func(context.Context) error { return errors.New("broken") }, nc, rpc.CLC, mallee.Internal, codes.Internal},
		"panic":                {func(context.Context) error { panic("broken") }, nc, rpc.CLC, mallee.Internal, codes.Internal},
		"role not allowed":     {nil, issue(t, a, rpc.SP, "sp1"), rpc.CLC, mallee.Denied, codes.PermissionDenied},
		"server of other role": {nil, nc, rpc.SP, mallee.Unavailable, codes.Unavailable},
		"other cluster":        {nil, issue(t, newCA(t), rpc.NC, "nc1"), rpc.CLC, mallee.Unavailable, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			reply = c.reply
			_, err := dial(t, addr, c.bundle, c.peer).ReportNode(t.Context(), &cloudv1.NodeReport{})
			if mallee.KindOf(err) != c.kind || status.Code(err) != c.code {
				t.Errorf("got kind %q and code %v, want %q and %v: %v", mallee.KindOf(err), status.Code(err), c.kind, c.code, err)
			}
		})
	}
}

func TestReadableKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := issue(t, newCA(t), rpc.SC, "sc1").Write(dir); err != nil {
		t.Fatal(err)
	}
	keyPath := filepath.Join(dir, rpc.BundleFile)
	if err := os.Chmod(keyPath, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.LoadBundle(dir); err == nil || !strings.Contains(err.Error(), keyPath) || !strings.Contains(err.Error(), "0644") {
		t.Errorf("got %v, want an error with the file and its mode", err)
	}
}
