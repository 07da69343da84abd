// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mallee-io/mallee"
)

// Resolve tells what a list means now; advertised is what "nopath" stands for. It
// never blocks: a name that is new is unresolved, and its look-up begins. A name
// is followed for an hour after it was last asked for.
func (r *Resolver) Resolve(p mallee.Paths, advertised []netip.AddrPort) Resolution {
	list := p.List
	if p.Any {
		list = elements(advertised)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	res := Resolution{Warnings: slices.Clone(r.labels.warnings)}
	first := map[string]string{} // text of the path, by where it leads
	for _, spec := range list {
		paths, warnings := r.element(spec)
		for _, path := range paths {
			if path.Unresolved == "" {
				where := path.where()
				if text, twice := first[where]; twice {
					warnings = append(warnings, fmt.Sprintf("%q and %q are one path: both are %s", text, path.Text, where))
					continue
				}
				first[where] = path.Text
			}
			res.Paths = append(res.Paths, path)
		}
		for _, w := range warnings {
			if !slices.Contains(res.Warnings, w) { // a name may stand there with several ports
				res.Warnings = append(res.Warnings, w)
			}
		}
	}
	return res
}

// ResolveNow is Resolve that first looks at the files anew, so that a label counts
// which an admin has written a moment ago, and asks DNS anew for each name. It
// waits for both within ctx, and needs Run.
func (r *Resolver) ResolveNow(ctx context.Context, p mallee.Paths, advertised []netip.AddrPort) Resolution {
	files := make(chan struct{})
	pending := []<-chan struct{}{files}
	r.mu.Lock()
	for _, spec := range p.List {
		if spec.Name != "" {
			pending = append(pending, r.lookupNow(spec.Name))
		}
	}
	r.mu.Unlock()
	select {
	case r.looks <- files:
	case <-ctx.Done():
	}
	for _, done := range pending {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	return r.Resolve(p, advertised)
}

// elements writes the portals that a SAN advertises as a list, each once: several
// SPs may tell the same.
func elements(advertised []netip.AddrPort) []mallee.PathSpec {
	var list []mallee.PathSpec
	for i, a := range advertised {
		if !slices.Contains(advertised[:i], a) {
			e := mallee.Endpoint{Addr: a.Addr(), Port: a.Port()}
			list = append(list, mallee.PathSpec{Endpoint: e, Text: e.String()})
		}
	}
	return list
}

// where is the same for paths that lead to the same portal over the same device. A
// zone tells the device as a label does.
func (p Path) where() string {
	if p.NetDevice == "" || p.Portal.Addr().Zone() != "" {
		return p.Portal.String()
	}
	return p.Portal.String() + " over " + p.NetDevice
}

// element returns the paths of one element, at least one. r.mu is held.
func (r *Resolver) element(spec mallee.PathSpec) (paths []Path, warnings []string) {
	path := Path{PathSpec: spec}
	unresolved := func(format string, args ...any) []Path {
		path.Unresolved = fmt.Sprintf(format, args...)
		return []Path{path}
	}
	if spec.Label != "" {
		label, ok := r.labels.find(spec.Label)
		if !ok {
			return unresolved("this machine has no label %q: name its device in [storage.interfaces] of malleed.toml or in STORAGE_INTERFACES of eucalyptus.conf", spec.Label), nil
		}
		if path.NetDevice = label.NetDevice; label.Problem != "" {
			return unresolved("%s, and the label %q stands for it", label.Problem, spec.Label), nil
		}
	}
	addrs := []netip.Addr{spec.Addr}
	if spec.Name != "" {
		n := r.name(spec.Name)
		addrs, warnings = n.addrs(), slices.Clone(n.warnings)
		switch {
		case !n.known:
			return unresolved("%s is being looked up", spec.Name), warnings
		case len(addrs) == 0:
			return unresolved("%s: %s", spec.Name, n.fault), warnings
		case n.fault != "":
			warnings = append(warnings, fmt.Sprintf("%s: %s; its addresses count as they were", spec.Name, n.fault))
		}
	}
	for _, a := range addrs {
		a, fault := r.link(a, path.NetDevice)
		switch {
		case fault == "":
			path.Portal = netip.AddrPortFrom(a, spec.Port)
			paths = append(paths, path)
		case len(addrs) == 1:
			return unresolved("%s", fault), warnings
		default:
			warnings = append(warnings, fmt.Sprintf("%s: the address %s is left out: %s", spec.Name, a, fault))
		}
	}
	if paths == nil {
		return unresolved("%s has no address that this machine can use", spec.Name), warnings
	}
	return paths, warnings
}

// link gives a link-local address the zone that it needs, or says why it has none.
func (r *Resolver) link(a netip.Addr, device string) (_ netip.Addr, fault string) {
	switch zone := a.Zone(); {
	case !a.Is6() || !a.IsLinkLocalUnicast():
	case device != "":
		return a.WithZone(device), ""
	case zone == "":
		return a, "a link-local address needs a label, which tells its network device"
	default:
		// From now on it matters to somebody whether the device is there.
		if r.zones[zone] = r.devices[zone]; !r.zones[zone] {
			return a, noDevice(zone)
		}
	}
	return a, ""
}
