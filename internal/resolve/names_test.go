// SPDX-License-Identifier: Apache-2.0

package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/resolve"
)

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name  string
		hosts map[string][]string
		list  string
		want  []string
	}{
		{"all addresses, sorted", map[string][]string{"san1": {"10.107.1.201", "2001:db8::1", "10.107.1.200", "10.107.1.201"}}, "SAN1,10.107.1.100", []string{
			"SAN1 10.107.1.200:3260", "SAN1 10.107.1.201:3260", "SAN1 [2001:db8::1]:3260", "10.107.1.100 10.107.1.100:3260",
		}},
		{"over a device", map[string][]string{"san1": {"10.107.1.200", "fe80::1"}}, "iface1:san1:860", []string{
			"iface1:san1:860 eth1 10.107.1.200:860", "iface1:san1:860 eth1 [fe80::1%eth1]:860",
		}},
		{"two that are one", map[string][]string{"san1": {"10.107.1.200"}, "san2": {"::ffff:10.107.1.200", "10.107.1.201"}}, "san1,san2,10.107.1.201", []string{
			"san1 10.107.1.200:3260", "san2 10.107.1.201:3260",
			`! "san1" and "san2" are one path: both are 10.107.1.200:3260`, `! "san2" and "10.107.1.201" are one path: both are 10.107.1.201:3260`,
		}},
		{"addresses of no other host", map[string][]string{"san1": {"127.0.0.1", "::1", "0.0.0.0", "ff02::1", "255.255.255.255", "10.107.1.200"}}, "san1:860,san1", []string{
			"san1:860 10.107.1.200:860", "san1 10.107.1.200:3260",
			"! san1: the address 0.0.0.0 is left out: it is not that of another host", "! san1: the address 127.0.0.1 is left out: it is not that of another host",
			"! san1: the address 255.255.255.255 is left out: it is not that of another host",
			"! san1: the address ::1 is left out: it is not that of another host", "! san1: the address ff02::1 is left out: it is not that of another host",
		}},
		{"none but this host's", map[string][]string{"san1": {"127.0.0.1"}}, "san1", []string{
			"san1 ? san1: no address is that of another host", "! san1: the address 127.0.0.1 is left out: it is not that of another host",
		}},
		{"link-local besides", map[string][]string{"san1": {"10.107.1.200", "fe80::1"}}, "san1", []string{
			"san1 10.107.1.200:3260", "! san1: the address fe80::1 is left out: a link-local address needs a label, which tells its network device",
		}},
		{"link-local alone", map[string][]string{"san1": {"fe80::1"}}, "san1", []string{"san1 ? a link-local address needs a label, which tells its network device"}},
		{"link-local alone, twice", map[string][]string{"san1": {"fe80::1", "fe80::2"}}, "san1", []string{
			"san1 ? san1 has no address that this machine can use",
			"! san1: the address fe80::1 is left out: a link-local address needs a label, which tells its network device",
			"! san1: the address fe80::2 is left out: a link-local address needs a label, which tells its network device",
		}},
		{"zones of /etc/hosts", map[string][]string{"san1": {"fe80::1%eth0", "fe80::1%../x"}}, "san1", []string{
			"san1 [fe80::1%eth0]:3260", `! san1: the address fe80::1 is left out: its zone "../x" is no name of a network device`,
		}},
		{"no such name beside an address", nil, "san1,10.107.1.200", []string{"san1 ? san1: no such host", "10.107.1.200 10.107.1.200:3260"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=iface1=eth1"})
				m.hosts = test.hosts
				m.run()
				got := m.lines(m.ResolveNow(t.Context(), parse(t, test.list), nil))
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}

func TestANewNameDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		changed := m.Changed()
		m.expect("san1,10.107.1.201", "san1 ? san1 is being looked up", "10.107.1.201 10.107.1.201:3260")
		<-changed
		m.expect("san1,10.107.1.201", "san1 10.107.1.200:3260", "10.107.1.201 10.107.1.201:3260")
		if m.asked != 2 {
			t.Errorf("DNS was asked %d times", m.asked)
		}
	})
}

func TestAddressesAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "san1"), nil)
		m.expectChange(31*time.Second, func() {
			m.change(func() { m.hosts["san1"] = []string{"10.107.1.202", "10.107.1.201"} })
		})
		m.expect("san1", "san1 10.107.1.201:3260", "san1 10.107.1.202:3260")

		// The order in which DNS tells them is no change.
		m.change(func() { m.hosts["san1"] = []string{"10.107.1.201", "10.107.1.202"} })
		m.expectQuiet(5 * time.Minute)
	})
}

// expectQuiet sees that nothing changes for a while.
func (m *machine) expectQuiet(d time.Duration) {
	m.t.Helper()
	select {
	case <-m.Changed():
		m.t.Error("a change was told, and there was none")
	case <-time.After(d):
	}
}

func TestAddressesStayWhileDNSFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "san1"), nil)

		// The error of Go's resolver names another port of ours each time.
		port := 40000
		fail := func() {
			port++
			m.change(func() {
				err := &net.DNSError{Err: fmt.Sprintf("read udp 10.0.0.1:%d->10.0.0.2:53: i/o timeout", port), IsTimeout: true}
				m.dns = map[string]error{"ip4": err, "ip6": err}
			})
		}
		m.expectChange(31*time.Second, fail)
		m.expectChange(time.Second, func() {
			m.expect("san1,san2", "san1 10.107.1.200:3260", "san2 ? san2 is being looked up", "! san1: no answer from DNS; its addresses count as they were")
		})
		m.expect("san1,san2", "san1 10.107.1.200:3260", "san2 ? san2: no answer from DNS", "! san1: no answer from DNS; its addresses count as they were")
		for range 60 {
			fail()
			m.expectQuiet(5 * time.Second)
		}
		if n := m.logged("host=san1 error="); n != 1 {
			t.Errorf("the failure was logged %d times", n)
		}

		m.change(func() { m.dns, m.hosts["san2"] = nil, []string{"10.107.1.201"} })
		time.Sleep(6 * time.Second)
		synctest.Wait()
		m.expect("san1,san2", "san1 10.107.1.200:3260", "san2 10.107.1.201:3260")
	})
}

// A name that has been taken out of DNS is kept too: that is no order to give
// paths up.
func TestAddressesStayWhenANameIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "san1"), nil)
		m.expectChange(31*time.Second, func() { m.change(func() { delete(m.hosts, "san1") }) })
		m.expect("san1", "san1 10.107.1.200:3260", "! san1: no such host; its addresses count as they were")
	})
}

// One family at a time: what DNS says nothing of stays, what it says is gone goes.
func TestFamiliesFailByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.200", "2001:db8::1"}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "san1"), nil)
		m.expectChange(31*time.Second, func() {
			m.change(func() {
				m.hosts["san1"] = []string{"10.107.1.201"}
				m.dns = map[string]error{"ip6": &net.DNSError{Err: "server misbehaving", IsTemporary: true}}
			})
		})
		m.expect("san1", "san1 10.107.1.201:3260", "san1 [2001:db8::1]:3260", "! san1: DNS: server misbehaving; its addresses count as they were")
		m.expectChange(6*time.Second, func() { m.change(func() { m.dns = nil }) })
		m.expect("san1", "san1 10.107.1.201:3260")
		if n := m.logged("other addresses"); n != 3 {
			t.Errorf("%d changes of addresses were logged", n)
		}
	})
}

func TestAFamilyThatWasNeverThereMayFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.dns = map[string]error{"ip6": errors.New("refused")}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "san1"), nil)
		m.expectQuiet(time.Minute)
		m.expect("san1,san2", "san1 10.107.1.200:3260", "san2 ? san2 is being looked up")
		synctest.Wait()
		m.expect("san1,san2", "san1 10.107.1.200:3260", "san2 ? san2: refused")
	})
}

// A name of /etc/hosts has no address of a family in another way.
func TestTheSystemsResolver(t *testing.T) {
	r := resolve.New(resolve.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	got := r.ResolveNow(ctx, parse(t, "localhost"), nil)
	if len(got.Paths) != 1 || got.Paths[0].Unresolved != "localhost: no address is that of another host" || len(got.Warnings) == 0 {
		t.Errorf("localhost gives %+v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestResolveNowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil) // and nobody runs it
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := m.lines(m.ResolveNow(ctx, parse(t, "san1,san2"), nil))
		if diff := cmp.Diff([]string{"san1 ? san1 is being looked up", "san2 ? san2 is being looked up"}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestNamesThatNobodyAsksForAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "san1"), nil)
		time.Sleep(2 * time.Hour)
		before := m.asked
		time.Sleep(2 * time.Hour)
		if m.asked != before || before > 260 {
			t.Errorf("DNS was asked %d times in two hours, and %d times after them", before, m.asked-before)
		}
	})
}
