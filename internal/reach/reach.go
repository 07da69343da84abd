// SPDX-License-Identifier: Apache-2.0

// Package reach finds out whether a portal answers from this machine, by means
// that harm nothing: an idle TCP connection holds up the next login at a LIO
// portal for as long as it lasts, a question to a neighbour holds up nobody.
//
// Nouns: a device is a network device of this machine; a neighbour is a host on
// the link behind a device, which answers ARP (RFC 826) or neighbour
// solicitations (RFC 4861) for its addresses; the gateway is the neighbour that
// packets to a portal on another link are handed to; a probe is a TCP connection
// to the portal, which is reset at once.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/mallee-io/mallee"
)

// Verdict tells whether a portal can be reached, and how that is known.
type Verdict struct {
	State mallee.ReachState
	// Evidence is what speaks for the portal; empty when nothing does, and for an
	// address of this machine itself.
	Evidence mallee.ReachEvidence
	// Reason is why it is not known to be reachable; empty when it is.
	Reason string
}

// Judge finds out whether a connection from this machine to portal would arrive.
// It goes through netDevice or, when that is empty, through the device of the
// address's zone or of the routing tables' choice. A neighbour is given about a
// second to answer.
//
// Only with connect a TCP connection is made: it alone can tell about a portal
// behind a gateway or a tunnel, and whether anything listens. What could not be
// found out, for want of CAP_NET_RAW or because ctx has ended, is ReachUnsure.
//
// It is safe for concurrent use.
func Judge(ctx context.Context, netDevice string, portal netip.AddrPort, connect bool) Verdict {
	addr := portal.Addr().Unmap()
	device := netDevice
	switch zone := addr.Zone(); {
	case device == "":
		device = zone
	case zone != "" && zone != device:
		return Verdict{State: mallee.Unresolved, Reason: fmt.Sprintf("its zone is %s, its device %s", zone, device)}
	}
	if device == "" && addr.Is6() && addr.IsLinkLocalUnicast() {
		return Verdict{State: mallee.Unresolved, Reason: fmt.Sprintf("nothing tells on which link %s is", addr)}
	}
	var index int // of no device
	if device != "" {
		d, found, err := findDevice(func(d net.Interface) bool { return d.Name == device })
		switch {
		case err != nil:
			return unsure(err)
		case !found:
			return Verdict{State: mallee.Unresolved, Reason: fmt.Sprintf("there is no network device %s", device)}
		case linkProblem(d) != "":
			return Verdict{State: mallee.Unreachable, Reason: linkProblem(d)}
		}
		index = d.Index
	}
	if connect {
		return probe(ctx, device, netip.AddrPortFrom(addr, portal.Port()))
	}
	r, err := routeTo(addr, index)
	switch {
	case errors.Is(err, errNoRoute):
		return Verdict{State: mallee.Unreachable, Reason: "no route to " + over(addr, device)}
	case err != nil:
		return unsure(fmt.Errorf("cannot look up the route to %s: %w", addr, err))
	case r.local:
		return Verdict{State: mallee.Reachable}
	}
	return judgeNeighbour(ctx, addr, r)
}

// judgeNeighbour asks the portal itself or, when there is one, the gateway on the way to it.
func judgeNeighbour(ctx context.Context, addr netip.Addr, r route) Verdict {
	d, found, err := findDevice(func(d net.Interface) bool { return d.Index == r.device })
	switch {
	case err != nil:
		return unsure(err)
	case !found:
		return unsure(fmt.Errorf("the device of the route to %s has gone", addr))
	case linkProblem(d) != "":
		return Verdict{State: mallee.Unreachable, Reason: linkProblem(d)}
	}
	asked := addr
	if r.gateway.IsValid() {
		asked = r.gateway
	}
	answers, err := ask(ctx, d, r.source, asked)
	switch {
	case err != nil:
		return unsure(err)
	case r.gateway.IsValid() && answers:
		return Verdict{State: mallee.ReachUnsure, Evidence: mallee.ByGateway, Reason: fmt.Sprintf("it is behind the gateway %s, and only a connection would tell", r.gateway)}
	case r.gateway.IsValid():
		return Verdict{State: mallee.Unreachable, Reason: fmt.Sprintf("the gateway %s does not answer on %s", r.gateway, d.Name)}
	case answers:
		return Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}
	}
	return Verdict{State: mallee.Unreachable, Reason: fmt.Sprintf("%s does not answer on %s", addr.WithZone(""), d.Name)}
}

// unsure is the verdict when finding out has failed, which says nothing of the portal.
func unsure(err error) Verdict {
	v := Verdict{State: mallee.ReachUnsure, Reason: err.Error()}
	if notPermitted(err) {
		v.Reason += " (it takes CAP_NET_RAW)"
	}
	return v
}

// notPermitted reports whether the kernel has not let this process try.
func notPermitted(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)
}

func over(addr netip.Addr, device string) string {
	if device == "" {
		return addr.String()
	}
	return addr.WithZone("").String() + " over " + device
}
