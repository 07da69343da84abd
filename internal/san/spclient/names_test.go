// SPDX-License-Identifier: Apache-2.0

package spclient_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/san/spclient"
)

// dns is what names stand for.
type dns struct {
	mu    sync.Mutex
	names map[string][]string
	asked []string
}

func (d *dns) lookup(_ context.Context, name string) ([]netip.Addr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, name)
	var list []netip.Addr
	for _, a := range d.names[name] {
		list = append(list, netip.MustParseAddr(a))
	}
	if list == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return list, nil
}

func (d *dns) set(name string, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[name] = addresses
}

func hosts(port uint16, names ...string) []mallee.Endpoint {
	var list []mallee.Endpoint
	for _, n := range names {
		list = append(list, mallee.Endpoint{Name: n, Port: port})
	}
	return list
}

// unreachable waits until c has noticed that nobody is there, and returns what it
// then says.
func unreachable(t *testing.T, c *spclient.Client) *mallee.Error {
	t.Helper()
	for {
		_, err := c.Info(t.Context())
		if e, ok := errors.AsType[*mallee.Error](err); !ok {
			t.Fatalf("error %v, want one of ours", err)
		} else if strings.Contains(err.Error(), "no connection") {
			return e
		}
	}
}

// The order of the original was the alphabet's.
func TestNamesAreUsedInTheAdminsOrder(t *testing.T) {
	s := newServer(t)
	at, stop := serve(t, s, "127.0.0.2:0")
	port := at.Port()
	for _, address := range []string{"127.0.0.3", "127.0.0.4"} {
		serve(t, s, netip.AddrPortFrom(netip.MustParseAddr(address), port).String())
	}
	d := &dns{names: map[string][]string{"z": {"127.0.0.2"}, "m": {"127.0.0.3"}, "a": {"127.0.0.4"}}}
	c := clientOf(t, spclient.Options{Hosts: hosts(port, "z", "m", "a"), LookupHost: d.lookup})
	for _, want := range []string{"z", "m"} {
		for range 2 {
			if _, err := c.Info(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if host, _ := active(c); !strings.HasPrefix(host, want+":") {
			t.Errorf("calls go to %s, want %s", host, want)
		}
		stop()
	}
	if slices.Contains(d.asked, "a") {
		t.Error("a name was looked up that nobody needed")
	}
}

func TestAnyAddressOfANameWillDo(t *testing.T) {
	// One accepts connections and says nothing; at the other nobody listens.
	mute, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	port := netip.MustParseAddrPort(mute.Addr().String()).Port()
	serve(t, newServer(t), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.4"), port).String())
	d := &dns{names: map[string][]string{"san": {"127.0.0.2", "127.0.0.3", "127.0.0.4"}}}
	c := clientOf(t, spclient.Options{Hosts: hosts(port, "san"), LookupHost: d.lookup})
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnAdminAddressMayBeOfIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	l.Close()
	at, _ := serve(t, newServer(t), l.Addr().String())
	if _, err := client(t, at).Info(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestANameThatMovesIsFollowed(t *testing.T) {
	s := newServer(t)
	at, stop := serve(t, s, "127.0.0.2:0")
	d := &dns{names: map[string][]string{"san": {"127.0.0.2"}}}
	c := clientOf(t, spclient.Options{Hosts: hosts(at.Port(), "san"), LookupHost: d.lookup})
	for range 3 {
		if _, err := c.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.asked) != 1 {
		t.Errorf("for three calls over one connection the name was looked up %d times", len(d.asked))
	}
	stop()
	_ = unreachable(t, c)
	d.set("san", "127.0.0.3")
	serve(t, s, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), at.Port()).String())
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
	d.set("san") // The name server has lost it, and the connection is well.
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFailedNameLeavesTheOthersAloneAndErrorsNameHosts(t *testing.T) {
	at, stop := serve(t, newServer(t), "127.0.0.2:0")
	d := &dns{names: map[string][]string{"good": {"127.0.0.2"}}}
	c := clientOf(t, spclient.Options{Hosts: hosts(at.Port(), "missing", "good"), LookupHost: d.lookup})
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	if host, dead := active(c); !strings.HasPrefix(host, "good:") || dead != 1 {
		t.Errorf("calls go to %s with %d dead", host, dead)
	}
	stop()
	err := unreachable(t, c)
	if err.Kind != mallee.Unavailable {
		t.Errorf("error %v, want one of kind unavailable", err)
	}
	for _, want := range []string{"missing:", "there is no such host name", "good:", "no connection to 127.0.0.2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	// The original then had none for five minutes.
	serve(t, newServer(t), at.String())
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
}
