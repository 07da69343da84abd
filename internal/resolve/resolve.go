// SPDX-License-Identifier: Apache-2.0

// Package resolve tells what a list of paths means on this machine.
//
// A label stands for a net device by the machine's own files: the line
// STORAGE_INTERFACES of the original's eucalyptus.conf, and [storage.interfaces]
// of malleed.toml, which counts where they differ. A name stands for all the
// addresses that DNS has for it. A path is one address over one net device, or
// over the one that routing chooses; it is unresolved while the machine cannot
// tell either. A Resolver follows files, devices and names for as long as it
// runs, and says when something has changed.
package resolve

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
)

// Path is one path of a list on this machine. An element of the list whose name
// has several addresses gives as many paths.
type Path struct {
	mallee.PathSpec
	// NetDevice is what the label stands for, "eth1"; empty without a label, and
	// for a label that nothing is known of.
	NetDevice string
	// Portal is where the path leads; invalid while it is unresolved. A link-local
	// address has its net device as its zone.
	Portal netip.AddrPort
	// Unresolved is why the machine cannot tell where the path leads; empty when
	// it can.
	Unresolved string
}

// Resolution is what a list means.
type Resolution struct {
	// Paths are in the order of the list, and those of one name in the order of
	// their addresses. Elements that lead to the same portal over the same net
	// device are one path, with the first one's text.
	Paths []Path
	// Warnings are what the admin should know about the list and about the files.
	Warnings []string
}

// Options of a Resolver.
type Options struct {
	// Eucalyptus is the path of eucalyptus.conf, Malleed that of malleed.toml. Either
	// may be empty, and neither file need be there.
	Eucalyptus, Malleed string
	Log                 *slog.Logger // nil: no log
	// LookupNetIP returns the addresses of a DNS name in a family, "ip4" or "ip6", as
	// that of a net.Resolver does; nil asks the system's. Its context has a deadline.
	LookupNetIP func(ctx context.Context, network, name string) ([]netip.Addr, error)
	// NetDevices returns the names of the machine's network devices; nil asks the
	// kernel.
	NetDevices func() ([]string, error)
}

// Resolver follows what lists of paths mean. Its methods are safe for concurrent
// use.
type Resolver struct {
	log         *slog.Logger
	lookupNetIP func(ctx context.Context, network, name string) ([]netip.Addr, error)
	netDevices  func() ([]string, error)
	files       []*file            // that labels stand in, what counts more last; poll's alone
	due         chan struct{}      // holds a token when a look-up is due
	looks       chan chan struct{} // each is closed when the files have been looked at

	mu      sync.Mutex
	changed chan struct{} // closed and renewed at each change
	labels  labels
	devices map[string]bool // that the machine has
	zones   map[string]bool // whether it has them, of the devices that zones have named
	names   map[string]*name
}

// New reads files and devices once, so that Resolve knows labels from the start.
// Names are looked up and changes are seen only while Run runs.
func New(o Options) *Resolver {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.LookupNetIP == nil {
		o.LookupNetIP = net.DefaultResolver.LookupNetIP
	}
	if o.NetDevices == nil {
		o.NetDevices = kernelDevices
	}
	r := &Resolver{
		log: o.Log, lookupNetIP: o.LookupNetIP, netDevices: o.NetDevices,
		due: make(chan struct{}, 1), looks: make(chan chan struct{}), changed: make(chan struct{}),
		files: []*file{{path: o.Eucalyptus, parse: parseEucalyptus}, {path: o.Malleed, parse: parseMalleed}},
		zones: map[string]bool{}, names: map[string]*name{},
	}
	// A file is read at the second look that finds it the same.
	r.poll(context.Background())
	r.poll(context.Background())
	return r
}

// Run follows files, devices and names until ctx ends, and then returns nil.
func (r *Resolver) Run(ctx context.Context) error {
	var lookups sync.WaitGroup
	defer lookups.Wait()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		for _, n := range r.dueNames() {
			lookups.Go(func() { r.lookup(ctx, n) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.due:
		case <-tick.C:
			r.poll(ctx)
		case done := <-r.looks:
			r.pollNow(ctx)
			close(done)
		}
	}
}

// Changed returns a channel that is closed when a list may mean something else
// than before: a label, a device or an address has changed. Ask for the channel
// first, then for what it tells of.
func (r *Resolver) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// tell closes the channel of Changed. r.mu is held.
func (r *Resolver) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}
