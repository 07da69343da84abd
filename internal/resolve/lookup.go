// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
)

const lookupTimeout = 10 * time.Second

// lookup looks a name up once. It asks for each family by itself: of both at once
// Go's resolver returns one's addresses and no error when the server is silent
// about the other's, and the paths to those would be given up.
func (r *Resolver) lookup(ctx context.Context, n *name) {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var answers [2]answer
	var asking sync.WaitGroup
	for i, network := range []string{"ip4", "ip6"} {
		asking.Go(func() { answers[i] = r.ask(limited, network, n.text) })
	}
	asking.Wait()

	r.mu.Lock()
	defer r.mu.Unlock()
	n.running = false
	if ctx.Err() != nil {
		return
	}
	before := *n
	n.take(answers)
	addrs := n.addrs()
	n.due = time.Now().Add(lookupInterval)
	if n.fault != "" {
		n.due = time.Now().Add(failedInterval)
	}
	n.known = true
	close(n.looked)
	n.looked = make(chan struct{})
	moved := !slices.Equal(addrs, before.addrs())
	if moved {
		r.log.InfoContext(ctx, "a host of a path has other addresses", "host", n.text, "addresses", addrs, "before", before.addrs())
	}
	switch {
	case n.fault == before.fault:
	case n.fault != "":
		r.log.WarnContext(ctx, "a host of a path cannot be looked up", "host", n.text, "error", n.fault, "addresses", addrs)
	default:
		r.log.InfoContext(ctx, "a host of a path can be looked up again", "host", n.text, "addresses", addrs)
	}
	if moved || n.fault != before.fault || !slices.Equal(n.warnings, before.warnings) {
		r.tell()
	}
}

// answer is what DNS says of a name's addresses in one family.
type answer struct {
	addrs    []netip.Addr // sorted
	fault    string       // why there are none; empty when there are
	none     bool         // the fault is that the name has none
	warnings []string     // about addresses that were left out
}

// take takes what DNS says over. While it fails, addresses are what they were: that
// is no reason to give paths up. Neither is a name that is gone altogether; one
// that has addresses of the other family alone is.
func (n *name) take(answers [2]answer) {
	n.fault, n.warnings = "", nil
	for i, a := range answers {
		if a.fault == "" || a.none && len(answers[1-i].addrs) > 0 {
			n.families[i], answers[i].fault = a.addrs, ""
		}
		n.warnings = append(n.warnings, a.warnings...)
	}
	for i, a := range answers {
		// A server that fails for a family which was never there is often met, and
		// harmless.
		matters := len(n.families[i]) > 0 || len(n.addrs()) == 0
		if a.fault != "" && matters && (n.fault == "" || !a.none) {
			n.fault = a.fault
		}
	}
}

// ask asks for the addresses of one family.
func (r *Resolver) ask(ctx context.Context, network, text string) answer {
	found, err := r.lookupNetIP(ctx, network, text)
	if err != nil {
		return failed(err)
	}
	var a answer
	for _, addr := range found {
		addr = addr.Unmap()
		switch zone := addr.Zone(); {
		case addr.Is4() != (network == "ip4"):
		case addr.IsLoopback(), addr.IsUnspecified(), addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			a.warnings = append(a.warnings, fmt.Sprintf("%s: the address %s is left out: it is not that of another host", text, addr.WithZone("")))
		// /etc/hosts may hold a zone, and a zone any character.
		case zone != "" && !mallee.ValidNetDevice(zone):
			a.warnings = append(a.warnings, fmt.Sprintf("%s: the address %s is left out: its zone %q is no name of a network device", text, addr.WithZone(""), zone))
		default:
			a.addrs = append(a.addrs, addr)
		}
	}
	slices.SortFunc(a.addrs, netip.Addr.Compare)
	a.addrs = slices.Compact(a.addrs)
	slices.Sort(a.warnings)
	a.warnings = slices.Compact(a.warnings)
	if a.addrs == nil {
		a.fault, a.none = "no address is that of another host", true
	}
	return a
}

// failed says why a look-up has failed, and the same each time: the error of one
// that nobody answers names another port of ours at each try.
func failed(err error) answer {
	d, isDNS := errors.AsType[*net.DNSError](err)
	_, isFamily := errors.AsType[*net.AddrError](err) // the name is in /etc/hosts, with the other family alone
	switch {
	case isFamily, isDNS && d.IsNotFound:
		return answer{fault: "no such host", none: true}
	case isDNS && d.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return answer{fault: "no answer from DNS"}
	case isDNS:
		return answer{fault: "DNS: " + d.Err}
	}
	return answer{fault: err.Error()}
}
