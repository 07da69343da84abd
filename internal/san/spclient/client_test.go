// SPDX-License-Identifier: Apache-2.0

package spclient_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/lio/liotest"
	"github.com/mallee-io/mallee/internal/lvm/lvmtest"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/santest"
	"github.com/mallee-io/mallee/internal/san/spclient"
	"github.com/mallee-io/mallee/internal/sp"
)

var discard = slog.New(slog.DiscardHandler)

func newServer(t *testing.T) *sp.Server {
	t.Helper()
	pool, kernel := lvmtest.NewPool(100*mallee.GiB), liotest.New()
	kernel.Device, pool.Open = pool.Active, kernel.Open
	s, err := sp.New(t.Context(), sp.Options{
		Name: "san1", DataPortals: []netip.AddrPort{netip.MustParseAddrPort("10.107.1.200:3260")},
		StateDir: t.TempDir(), Log: discard, Registry: prometheus.NewRegistry(), Volumes: pool, ConfigFS: kernel,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve serves s on addr, port 0 for any, until the test ends or stop is called.
func serve(t *testing.T, s *sp.Server, addr string) (at netip.AddrPort, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	spv1.RegisterStorageProcessorServer(g, s)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return netip.MustParseAddrPort(l.Addr().String()), g.Stop
}

func client(t *testing.T, addresses ...netip.AddrPort) *spclient.Client {
	t.Helper()
	var o spclient.Options
	for _, a := range addresses {
		o.Hosts = append(o.Hosts, mallee.Endpoint{Addr: a.Addr(), Port: a.Port()})
	}
	return clientOf(t, o)
}

func clientOf(t *testing.T, o spclient.Options) *spclient.Client {
	t.Helper()
	o.Log = discard
	o.Dial = func(target string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
		return grpc.NewClient(target, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	}
	c, err := spclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConformance(t *testing.T) {
	santest.Run(t, func(t *testing.T) san.SAN {
		addr, _ := serve(t, newServer(t), "127.0.0.1:0")
		return client(t, addr)
	})
}

// active returns the host that calls go to, and how many do not answer.
func active(c *spclient.Client) (host string, dead int) {
	for _, a := range c.Hosts() {
		if a.Active {
			host = a.Host
		}
		if a.Err != nil {
			dead++
		}
	}
	return host, dead
}

func TestCallsMoveToAnAddressThatAnswersAndStay(t *testing.T) {
	s := newServer(t)
	first, stop := serve(t, s, "127.0.0.1:0")
	second, _ := serve(t, s, "127.0.0.1:0")
	c := client(t, first, second)
	info := func() {
		t.Helper()
		if _, err := c.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	info()
	if addr, dead := active(c); addr != first.String() || dead != 0 {
		t.Errorf("calls go to %s with %d dead, want the admin's first, %s", addr, dead, first)
	}
	stop()
	info()
	info()
	if addr, dead := active(c); addr != second.String() || dead != 1 {
		t.Errorf("calls go to %s with %d dead, want %s", addr, dead, second)
	}
	// The first is back; there is no reason to leave the one that works.
	serve(t, s, first.String())
	info()
	if addr, _ := active(c); addr != second.String() {
		t.Errorf("calls go to %s, want %s", addr, second)
	}
}

func TestNoAddressAnswers(t *testing.T) {
	addr, stop := serve(t, newServer(t), "127.0.0.1:0")
	stop()
	c := client(t, addr)
	_, err := c.Volumes(t.Context())
	if mallee.KindOf(err) != mallee.Unavailable {
		t.Errorf("error %v, want one of kind unavailable", err)
	}
	// It comes back and is used at once, without waiting for a back-off.
	serve(t, newServer(t), addr.String())
	if _, err := c.Volumes(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatNeverAnswersCostsSecondsNotMinutes(t *testing.T) {
	// It accepts connections and says nothing, as a hung process does.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	good, _ := serve(t, newServer(t), "127.0.0.1:0")
	c := client(t, netip.MustParseAddrPort(mute.Addr().String()), good)
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	if addr, dead := active(c); addr != good.String() || dead != 1 {
		t.Errorf("calls go to %s with %d dead, want %s", addr, dead, good)
	}
}

func TestTheCallersDeadlineBlamesNoAddress(t *testing.T) {
	addr, _ := serve(t, newServer(t), "127.0.0.1:0")
	c := client(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Info(ctx)
	if mallee.KindOf(err) != mallee.Unavailable {
		t.Errorf("error %v, want one of kind unavailable", err)
	}
	if _, dead := active(c); dead != 0 {
		t.Error("the address was blamed")
	}
}
