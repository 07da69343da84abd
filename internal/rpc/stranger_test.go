// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/mallee-io/mallee/internal/rpc"
)

// Who connects and shows no certificate is cut off soon.
func TestASilentStrangerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := bufconn.Listen(1 << 10)
		s := rpc.NewServer(issue(t, newCA(t), rpc.CLC, "clc"), slog.New(slog.DiscardHandler), func(context.Context, rpc.Identity, bool) error { return nil })
		go s.Serve(listener)
		defer s.Stop()
		conn, err := listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		began := time.Now()
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("it was told %d bytes", n)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it was kept for %v", took)
		}
	})
}
