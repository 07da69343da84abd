// SPDX-License-Identifier: Apache-2.0

package spclient

import (
	"net/netip"
	"slices"
	"sync"

	"google.golang.org/grpc/resolver"
)

// scheme is that of the targets that gRPC asks addresses about.
const scheme = "mallee-sp"

// addresses are those of one host, told to gRPC as its resolver. gRPC tries the next
// one a quarter of a second after the last (gRFC A61), and keeps the first that has
// shown its certificate. Its own resolver would not look a name up again for 30 s.
type addresses struct {
	mu   sync.Mutex
	list []netip.AddrPort
	conn resolver.ClientConn // nil while gRPC is idle
}

func (a *addresses) get() []netip.AddrPort {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list
}

func (a *addresses) known() bool { return len(a.get()) > 0 }

// set tells gRPC of a list that is new.
func (a *addresses) set(list []netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Equal(list, a.list) {
		return
	}
	a.list = list
	a.tell()
}

// tell is called with a.mu held.
func (a *addresses) tell() {
	if a.conn == nil {
		return
	}
	var state resolver.State
	for _, p := range a.list {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: p.String()}}})
	}
	// An error asks for another try, which comes with the next call.
	_ = a.conn.UpdateState(state)
}

// Scheme implements resolver.Builder.
func (a *addresses) Scheme() string { return scheme }

// Build implements resolver.Builder; gRPC calls it whenever it stops being idle.
func (a *addresses) Build(_ resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = conn
	a.tell()
	return a, nil
}

// ResolveNow implements resolver.Resolver. It is host.connect that looks names up.
func (a *addresses) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements resolver.Resolver.
func (a *addresses) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = nil
}
