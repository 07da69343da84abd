// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/rpc"
)

// A server and a client take up new certificates, and cut off nobody.
func TestABundleIsReplacedUnderConnections(t *testing.T) {
	a := newCA(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var callers []rpc.Identity
	var firsts []bool
	own := issue(t, a, rpc.CLC, "clc")
	s := rpc.NewServer(own, slog.New(slog.DiscardHandler), func(_ context.Context, caller rpc.Identity, first bool) error {
		mu.Lock()
		defer mu.Unlock()
		callers, firsts = append(callers, caller), append(firsts, first)
		return nil
	})
	cloudv1.RegisterCloudServer(s, server{reply: func(context.Context) error { return nil }})
	go s.Serve(listener)
	t.Cleanup(s.Stop)

	mine := issue(t, a, rpc.NC, "nc1")
	before := mine.Identity()
	client := dial(t, listener.Addr().String(), mine, rpc.CLC)
	call := func(client cloudv1.CloudClient) {
		t.Helper()
		if _, err := client.ReportNode(t.Context(), &cloudv1.NodeReport{}); err != nil {
			t.Fatal(err)
		}
	}
	served := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return rpc.Serial(conn.ConnectionState().PeerCertificates[0])
	}
	call(client)
	was := served()
	mine.Take(issue(t, a, rpc.NC, "nc1"))
	own.Take(issue(t, a, rpc.CLC, "clc"))
	call(client)
	if served() == was {
		t.Error("the server still shows its former certificate")
	}
	call(dial(t, listener.Addr().String(), mine, rpc.CLC))
	if len(callers) != 3 || callers[0] != before || callers[1] != before || callers[2] != mine.Identity() || mine.Identity() == before {
		t.Errorf("the server saw %v", callers)
	}
	if !firsts[0] || firsts[1] || !firsts[2] {
		t.Errorf("of three calls, one and two over one connection, the first ones are %v", firsts)
	}
}

func TestRenewalIsDueWhenTwoThirdsAreOver(t *testing.T) {
	a := newCA(t)
	for _, validity := range []time.Duration{time.Minute, 24 * time.Hour, 30 * 24 * time.Hour} {
		cert, key, root, err := a.Issue(ca.IssueOptions{Role: rpc.NC, Name: "nc1", Partition: "PARTI00", Validity: validity})
		if err != nil {
			t.Fatal(err)
		}
		b, err := rpc.ParseBundle(root, cert, key)
		if err != nil {
			t.Fatal(err)
		}
		if in := time.Until(b.RenewAt()); in < validity/2 || in > validity*7/10 {
			t.Errorf("a certificate for %s is renewed after %s", validity, in)
		}
	}
}

// What sanhost names may be the SAN of another partition.
func TestAStorageProcessorOfAnotherPartitionIsNotCalled(t *testing.T) {
	a := newCA(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(issueIn(t, a, rpc.SP, "sp9", "ELSEWHERE"), slog.New(slog.DiscardHandler), func(context.Context, rpc.Identity, bool) error {
		t.Error("it was called")
		return nil
	})
	s.RegisterService(&grpc.ServiceDesc{ServiceName: cloudv1.Cloud_ServiceDesc.ServiceName, HandlerType: (*any)(nil)}, nil)
	go s.Serve(listener)
	t.Cleanup(s.Stop)
	_, err = dial(t, listener.Addr().String(), issue(t, a, rpc.SC, "sc1"), rpc.SP).ReportNode(t.Context(), &cloudv1.NodeReport{})
	if mallee.KindOf(err) != mallee.Denied || !strings.Contains(err.Error(), "ELSEWHERE") || !strings.Contains(err.Error(), "PARTI00") {
		t.Errorf("got %v, want an error with both partitions", err)
	}
}
