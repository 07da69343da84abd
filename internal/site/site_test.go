// SPDX-License-Identifier: Apache-2.0

package site_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/reach"
	"github.com/mallee-io/mallee/internal/resolve"
	"github.com/mallee-io/mallee/internal/site"
)

// machine is one in memory: it has the device eth1, with the label iface0, and a
// session over it. Addresses answer unless they are silent.
type machine struct {
	*resolve.Resolver
	surveys chan *cloudv1.Site
	session netip.AddrPort
	silent  netip.AddrPort
	slow    time.Duration // what an answer takes

	mu    sync.Mutex
	now   int // how many looks are going on
	most  int // at once
	looks int
}

func newMachine() *machine {
	r := resolve.New(resolve.Options{
		NetDevices: func() ([]string, error) { return []string{"eth1"}, nil },
		LookupNetIP: func(_ context.Context, _, name string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.107.1.201")}, nil
		},
	})
	return &machine{
		Resolver: r, surveys: make(chan *cloudv1.Site),
		session: netip.MustParseAddrPort("10.107.1.200:3260"), silent: netip.MustParseAddrPort("10.108.1.200:3260"),
	}
}

func (m *machine) Labels() []mallee.InterfaceLabel {
	return []mallee.InterfaceLabel{
		{Label: "iface0", NetDevice: "eth1", Source: "/etc/eucalyptus/eucalyptus.conf"},
		{Label: "iface1", NetDevice: "eth9", Source: "/etc/mallee/malleed.toml", Problem: "no network device eth9 on this machine"},
	}
}

func (m *machine) judge(ctx context.Context, _ string, portal netip.AddrPort, probe bool) reach.Verdict {
	m.mu.Lock()
	m.now++
	m.looks++
	m.most = max(m.most, m.now)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.now--
		m.mu.Unlock()
	}()
	select {
	case <-time.After(m.slow):
	case <-ctx.Done():
		return reach.Verdict{State: mallee.ReachUnsure, Reason: ctx.Err().Error()}
	}
	switch {
	case portal == m.silent:
		return reach.Verdict{State: mallee.Unreachable, Reason: "it does not answer"}
	case probe:
		return reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}
	}
	return reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}
}

// start surveys m until the test ends.
func (m *machine) start(t *testing.T) *site.Site {
	t.Helper()
	s := site.New(site.Options{
		Resolver: m,
		LoggedIn: func(device string, portal netip.AddrPort) bool { return device == "" && portal == m.session },
		Devices: func() ([]mallee.NetDevice, error) {
			return []mallee.NetDevice{{Name: "eth1", Up: true, Addresses: []string{"10.107.1.101/24"}}}, nil
		},
		Judge: m.judge, Found: func(_ string, s *cloudv1.Site) { m.surveys <- s }, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{m.Run, s.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return s
}

func TestASurveyTellsDevicesLabelsAndReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		s := m.start(t)
		s.Set("10.107.1.200,10.108.1.200,iface9:10.107.1.200,10.109.1.200", nil)
		want := &cloudv1.Site{
			Devices: []*cloudv1.NetDevice{{Name: "eth1", Up: true, Addresses: []string{"10.107.1.101/24"}}},
			Labels: []*cloudv1.InterfaceLabel{
				{Label: "iface0", Device: "eth1", Source: "/etc/eucalyptus/eucalyptus.conf"},
				{Label: "iface1", Device: "eth9", Source: "/etc/mallee/malleed.toml", Problem: "no network device eth9 on this machine"},
			},
			Reach: []*cloudv1.Reach{
				{Text: "10.107.1.200", Portal: "10.107.1.200:3260", State: "reachable", Evidence: "session"},
				{Text: "10.108.1.200", Portal: "10.108.1.200:3260", State: "unreachable", Reason: "it does not answer"},
				{Text: "iface9:10.107.1.200", Label: "iface9", State: "unresolved"},
				{Text: "10.109.1.200", Portal: "10.109.1.200:3260", State: "reachable", Evidence: "neighbour"},
			},
		}
		got := <-m.surveys
		if r := got.GetReach(); len(r) == 4 && r[2].GetReason() == "" {
			t.Error("an unresolved path has no reason")
		} else if len(r) == 4 {
			r[2].Reason = ""
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}

		s.Set("10.107.1.200,,", nil)
		got = <-m.surveys
		if len(got.GetReach()) != 0 || len(got.GetWarnings()) != 1 || len(got.GetDevices()) != 1 {
			t.Errorf("with a list that is none: %v", got)
		}
	})
}

func TestSurveysComeWithChangesAndNotTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		s := m.start(t)
		s.Set("nopath", []string{"10.107.1.200:3260"})
		<-m.surveys
		began := time.Now()
		took := func() time.Duration {
			<-m.surveys
			d := time.Since(began)
			began = time.Now()
			return d
		}
		if d := took(); d != 15*time.Second {
			t.Errorf("without a change the next survey comes after %s", d)
		}
		s.Set("nopath", []string{"10.108.1.200:3260"})
		if d := took(); d != 2*time.Second {
			t.Errorf("after a change the next survey comes after %s", d)
		}
		s.Set("nopath", []string{"10.108.1.200:3260"})
		if d := took(); d != 15*time.Second {
			t.Errorf("the same list again makes a survey after %s", d)
		}
		s.Set("san1", nil)
		if d := took(); d != 2*time.Second {
			t.Errorf("after a change the next survey comes after %s", d)
		}
		if d := took(); d != 2*time.Second { // the name was looked up
			t.Errorf("after an address is known the next survey comes after %s", d)
		}
	})
}
