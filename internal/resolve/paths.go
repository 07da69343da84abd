// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

// Resolve tells what a list means now; advertised is what "nopath" stands for. It
// never blocks: a name that is new is unresolved and its look-up begins. A name is
// followed for an hour after it was last asked for.
func (r *Resolver) Resolve(p mallee.Paths, advertised []netip.AddrPort) Resolution {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := p.List
	if p.Any {
		list = nil
		for _, a := range advertised {
			e := mallee.Endpoint{Addr: a.Addr(), Port: a.Port()}
			list = append(list, mallee.PathSpec{Endpoint: e, Text: e.String()})
		}
	}
	res := Resolution{Warnings: slices.Clone(r.labels.warnings)}
	first := map[string]string{} // text of the path, by where it leads
	for _, spec := range list {
		for _, path := range r.resolve(spec, &res) {
			if path.Unresolved == "" {
				where := path.Portal.String()
				if path.Portal.Addr().Zone() == "" && path.NetDevice != "" {
					where += " over " + path.NetDevice
				}
				if text, twice := first[where]; twice {
					if !p.Any {
						res.Warnings = append(res.Warnings, fmt.Sprintf("%q and %q are one path: both are %s", text, spec.Text, where))
					}
					continue
				}
				first[where] = spec.Text
			}
			res.Paths = append(res.Paths, path)
		}
	}
	return res
}

// resolve returns the paths of one element: at least one.
func (r *Resolver) resolve(spec mallee.PathSpec, res *Resolution) []Path {
	path := Path{PathSpec: spec}
	unresolved := func(format string, args ...any) []Path {
		path.Unresolved = fmt.Sprintf(format, args...)
		return []Path{path}
	}
	if spec.Label != "" {
		label, ok := r.labels.find(spec.Label)
		if !ok {
			return unresolved("this machine has no label %q: name its device in [storage.interfaces] of malleed.toml or in STORAGE_INTERFACES of eucalyptus.conf", spec.Label)
		}
		if path.NetDevice = label.NetDevice; label.Problem != "" {
			return unresolved("%s, and the label %q stands for it", label.Problem, label.Label)
		}
	}
	addrs := []netip.Addr{spec.Addr}
	if spec.Name != "" {
		n := r.name(strings.ToLower(spec.Name))
		addrs = n.addrs
		res.Warnings = append(res.Warnings, n.warnings...)
		switch {
		case len(addrs) == 0 && n.fault == "":
			return unresolved("%s is being looked up", spec.Name)
		case len(addrs) == 0:
			return unresolved("%s: %s", spec.Name, n.fault)
		case n.fault != "":
			res.Warnings = append(res.Warnings, fmt.Sprintf("%s: %s; its addresses stay as they were", spec.Name, n.fault))
		}
	}
	var paths []Path
	for _, a := range addrs {
		path := path
		a, path.Unresolved = r.link(a, path.NetDevice)
		if path.Unresolved == "" {
			path.Portal = netip.AddrPortFrom(a, spec.Port)
		}
		paths = append(paths, path)
	}
	return paths
}

// link gives a link-local address its zone, or says why it cannot.
func (r *Resolver) link(a netip.Addr, device string) (_ netip.Addr, unresolved string) {
	switch zone := a.Zone(); {
	case !a.Is6() || !a.IsLinkLocalUnicast():
	case device != "":
		return a.WithZone(device), ""
	case zone == "":
		return a, fmt.Sprintf("the link-local address %s needs a label, which tells the network device", a)
	default:
		there := r.devices[zone]
		if r.zones[zone] = there; !there {
			return a, noDevice(zone)
		}
	}
	return a, ""
}
