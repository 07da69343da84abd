// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
)

const (
	// lookupInterval is the time between two look-ups of a name: the system's
	// resolver tells no time to live. One that has failed is tried again sooner.
	lookupInterval = 30 * time.Second
	failedInterval = 5 * time.Second
	lookupTimeout  = 10 * time.Second
	// nameLife is for how long a name is followed that nobody asks for.
	nameLife = time.Hour
)

// name is a DNS name and what is known of it.
type name struct {
	text     string
	addrs    []netip.Addr  // sorted; of the last look-up that found any
	fault    string        // of the last look-up; empty if it was good
	warnings []string      // about addresses that were left out
	known    bool          // a look-up has ended
	looked   chan struct{} // closed when known becomes true
	running  bool
	due      time.Time
	asked    time.Time
}

// name returns what is known of a DNS name, and begins to follow it. r.mu is held.
func (r *Resolver) name(text string) *name {
	text = strings.ToLower(text) // names have no case (RFC 4343)
	n := r.names[text]
	if n == nil {
		n = &name{text: text, looked: make(chan struct{}), due: time.Now()}
		r.names[text] = n
		r.wake()
	}
	n.asked = time.Now()
	return n
}

// wake has Run start the look-ups that are due.
func (r *Resolver) wake() {
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// lookupAll makes all look-ups due. r.mu is held.
func (r *Resolver) lookupAll() {
	for _, n := range r.names {
		n.due = time.Now()
	}
	r.wake()
}

// dueNames returns the names to look up now, and forgets those that nobody asks for.
func (r *Resolver) dueNames() []*name {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []*name
	for text, n := range r.names {
		switch {
		case n.running:
		case time.Since(n.asked) > nameLife:
			delete(r.names, text)
		case !n.due.After(time.Now()):
			n.running = true
			due = append(due, n)
		}
	}
	return due
}

// lookup looks a name up once. When that fails its addresses are what they were:
// DNS being away is no reason to give paths up.
func (r *Resolver) lookup(ctx context.Context, n *name) {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := r.lookupHost(limited, n.text)
	addrs, warnings := usable(n.text, found)
	if err == nil && len(addrs) == 0 {
		err = errors.New("no address is that of another host")
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	n.running = false
	if ctx.Err() != nil {
		return
	}
	n.due = time.Now().Add(lookupInterval)
	fault := ""
	if err != nil {
		n.due = time.Now().Add(failedInterval)
		addrs, fault = n.addrs, reason(err)
	}
	moved, changed := !slices.Equal(addrs, n.addrs), fault != n.fault || !slices.Equal(warnings, n.warnings)
	if fault != "" && fault != n.fault {
		r.log.WarnContext(ctx, "a host of a path cannot be looked up", "host", n.text, "error", fault, "addresses", addrs)
	}
	if moved {
		r.log.InfoContext(ctx, "a host of a path has other addresses", "host", n.text, "addresses", addrs, "before", n.addrs)
	}
	n.addrs, n.warnings, n.fault = addrs, warnings, fault
	if !n.known {
		n.known = true
		close(n.looked)
	}
	if moved || changed {
		r.tell()
	}
}

// usable sorts the addresses of a name, and leaves out those where no SAN can be,
// or whose zone, which /etc/hosts may hold, could not be part of a command line.
func usable(text string, found []netip.Addr) (addrs []netip.Addr, warnings []string) {
	for _, a := range found {
		a = a.Unmap()
		switch zone := a.Zone(); {
		case a.IsLoopback(), a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			warnings = append(warnings, fmt.Sprintf("%s: the address %s is left out: it is not that of another host", text, a.WithZone("")))
		case zone != "" && !mallee.ValidNetDevice(zone):
			warnings = append(warnings, fmt.Sprintf("%s: the address %s is left out: its zone %q is no name of a network device", text, a.WithZone(""), zone))
		default:
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	slices.Sort(warnings)
	return slices.Compact(addrs), slices.Compact(warnings)
}

// reason says why a look-up has failed, and the same each time: the error of a
// look-up that nobody answers names another port of ours at each try.
func reason(err error) string {
	d, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && d.IsNotFound:
		return "no such host"
	case ok && d.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return "no answer from DNS"
	case ok:
		return "DNS: " + d.Err
	}
	return err.Error()
}
