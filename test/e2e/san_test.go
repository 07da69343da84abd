// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/santest"
	"github.com/mallee-io/mallee/internal/san/spclient"
	"github.com/mallee-io/mallee/test/scenario"
)

// testSAN runs the conformance suite against the storage processor itself, and
// then loses one of its admin addresses.
func testSAN(t *testing.T, w *world) {
	bundle, err := rpc.LoadBundle(w.Bundle("sc", "sc1"))
	must(t, err)
	var addresses []netip.AddrPort
	for _, a := range scenario.AdminAddrs {
		addresses = append(addresses, netip.AddrPortFrom(netip.MustParseAddr(a), 8775))
	}
	client, err := spclient.New(spclient.Options{
		Addresses: addresses,
		Dial:      func(addr string) (*grpc.ClientConn, error) { return rpc.Dial(addr, bundle, rpc.SP) },
		Log:       slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(func() { must(t, client.Close()) })
	santest.Run(t, func(*testing.T) san.SAN { return client })

	for _, a := range scenario.AdminAddrs {
		t.Run("without "+a, func(t *testing.T) {
			ctx := patience(t, 2*time.Minute)
			must(t, w.Lab.Cut(ctx, a))
			volume := w.create(t)
			must(t, w.Lab.Heal(ctx, a))
			w.remove(t, volume)
		})
	}
}
