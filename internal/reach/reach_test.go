// SPDX-License-Identifier: Apache-2.0

package reach_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/reach"
)

// What can be told without root and without another machine.
func TestJudge(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	open := listener.Addr().String()
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		device, portal string
		connect        bool
		want           reach.Verdict
	}{
		"ourselves":                 {"", open, false, reach.Verdict{State: mallee.Reachable}},
		"IPv4 in IPv6":              {"", "[::ffff:127.0.0.1]:3260", false, reach.Verdict{State: mallee.Reachable}},
		"no such device":            {"eth99", open, false, reach.Verdict{State: mallee.Unresolved, Reason: "there is no network device eth99"}},
		"no such zone":              {"", "[fe80::1%eth99]:3260", false, reach.Verdict{State: mallee.Unresolved, Reason: "there is no network device eth99"}},
		"two devices":               {"lo", "[fe80::1%eth99]:3260", false, reach.Verdict{State: mallee.Unresolved, Reason: "its zone is eth99, its device lo"}},
		"link-local on no link":     {"", "[fe80::1]:3260", true, reach.Verdict{State: mallee.Unresolved, Reason: "nothing tells on which link fe80::1 is"}},
		"takes a connection":        {"", open, true, reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}},
		"refuses a connection":      {"", closed.Addr().String(), true, reach.Verdict{State: mallee.Unreachable, Reason: "connect: connection refused"}},
		"connect to no such device": {"eth99", open, true, reach.Verdict{State: mallee.Unresolved, Reason: "there is no network device eth99"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := reach.Judge(t.Context(), c.device, netip.MustParseAddrPort(c.portal), c.connect)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	t.Run("no time left", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got := reach.Judge(ctx, "", netip.MustParseAddrPort(open), true)
		if want := (reach.Verdict{State: mallee.ReachUnsure, Reason: "context canceled"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestDevicesLeaveTheLoopbackOut(t *testing.T) {
	list, err := reach.Devices()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range list {
		if d.Name == "lo" || i > 0 && d.Name <= list[i-1].Name {
			t.Errorf("it is not sorted, or has the loopback: %+v", list)
		}
		for _, a := range d.Addresses {
			if _, err := netip.ParsePrefix(a); err != nil {
				t.Errorf("%s: %v", d.Name, err)
			}
		}
	}
}
