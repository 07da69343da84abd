// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/reach"
	"github.com/mallee-io/mallee/internal/resolve"
)

// joiningTime is how long a path in a fabric takes to come up.
const joiningTime = time.Second

// fabric is a connector in memory, and the SAN behind it: every portal answers
// unless it is dead.
type fabric struct {
	mu      sync.Mutex
	changed chan struct{}
	dead    map[netip.AddrPort]bool
	inUse   map[string]bool   // volumes, by name
	volumes map[string]*paths // that are here, by name
}

// paths are a volume's.
type paths struct {
	device bool // was handed out
	began  map[connector.Portal]time.Time
}

func newFabric() *fabric {
	return &fabric{
		changed: make(chan struct{}), dead: map[netip.AddrPort]bool{},
		inUse: map[string]bool{}, volumes: map[string]*paths{},
	}
}

func (f *fabric) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (f *fabric) Initiator() (string, error) { return "iqn.2026-11.io.mallee:nc1", nil }

func (f *fabric) Sweep(context.Context) error { return nil }

func (f *fabric) Changed(string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// do changes the fabric.
func (f *fabric) do(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// errNoWWID is what a volume without an identity fails with.
func errNoWWID(v connector.Volume) error {
	if v.WWID == "none" {
		return fmt.Errorf("%q is no WWID", v.WWID)
	}
	return nil
}

func (f *fabric) Repair(_ context.Context, v connector.Volume) (connector.Status, error) {
	if err := errNoWWID(v); err != nil {
		return connector.Status{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	have := f.volumes[v.Name]
	if have == nil {
		have = &paths{began: map[connector.Portal]time.Time{}}
		f.volumes[v.Name] = have
	}
	status := connector.Status{Paths: []connector.Path{}}
	for _, p := range v.Portals {
		path := connector.Path{Portal: p.Addr, NetDevice: p.NetDevice}
		began, ok := have.began[p]
		switch {
		case f.dead[p.Addr] && ok:
			path.State, path.Reason = connector.PathDown, "timed out"
		case f.dead[p.Addr]:
			path.State, path.Reason = connector.PathMissing, "timed out"
		case ok && time.Since(began) >= joiningTime:
			path.State = connector.PathUp
		default:
			if !ok {
				have.began[p] = time.Now()
				time.AfterFunc(joiningTime, func() { f.do(func() {}) })
			}
			path.State = connector.PathJoining
		}
		status.Paths = append(status.Paths, path)
	}
	status.Paths = append(status.Paths, have.drain(v, status.Up())...)
	if have.device = have.device || status.Up() >= max(v.MinPaths, 1); have.device {
		status.Device, status.Ready = "/dev/mallee/"+v.Name, status.Up() >= max(v.MinPaths, 1)
	}
	return status, nil
}

// drain removes one path that v does not name, if enough are left without it, and
// returns the others.
func (p *paths) drain(v connector.Volume, up int) []connector.Path {
	var left []connector.Portal
	for portal := range p.began {
		if !slices.Contains(v.Portals, portal) {
			left = append(left, portal)
		}
	}
	slices.SortFunc(left, func(a, b connector.Portal) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.NetDevice, b.NetDevice))
	})
	if n := up + len(left); len(left) > 0 && up > 0 && n-1 >= max(v.Expected, len(v.Portals)) {
		delete(p.began, left[0])
		left = left[1:]
	}
	var list []connector.Path
	for _, portal := range left {
		list = append(list, connector.Path{
			Portal: portal.Addr, NetDevice: portal.NetDevice, State: connector.PathDraining, Reason: "no longer expected",
		})
	}
	return list
}

func (f *fabric) Detach(_ context.Context, v connector.Volume) error {
	if err := errNoWWID(v); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inUse[v.Name] {
		return &connector.InUseError{Device: "/dev/mallee/" + v.Name, Users: []string{"mount /mnt"}}
	}
	delete(f.volumes, v.Name)
	return nil
}

func (f *fabric) LoggedIn(netDevice string, portal netip.AddrPort) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.volumes {
		for p, began := range v.began {
			if p.Addr == portal && p.NetDevice == netDevice && time.Since(began) >= joiningTime {
				return true
			}
		}
	}
	return false
}

// judge tells what ARP would.
func (f *fabric) judge(_ context.Context, _ string, portal netip.AddrPort, _ bool) reach.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead[portal] {
		return reach.Verdict{State: mallee.Unreachable, Reason: "it does not answer"}
	}
	return reach.Verdict{State: mallee.Reachable, Evidence: mallee.ByNeighbour}
}

// atlas is a resolver in memory: it knows labels and names.
type atlas struct {
	mu      sync.Mutex
	changed chan struct{}
	labels  map[string]string       // net devices
	names   map[string][]netip.Addr // of hosts
}

func newAtlas() *atlas {
	return &atlas{changed: make(chan struct{}), labels: map[string]string{}, names: map[string][]netip.Addr{}}
}

// do changes the atlas.
func (a *atlas) do(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *atlas) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

func (a *atlas) Labels() []mallee.InterfaceLabel {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []mallee.InterfaceLabel
	for label, device := range a.labels {
		list = append(list, mallee.InterfaceLabel{Label: label, NetDevice: device, Source: "eucalyptus.conf"})
	}
	slices.SortFunc(list, func(a, b mallee.InterfaceLabel) int { return cmp.Compare(a.Label, b.Label) })
	return list
}

func (a *atlas) ResolveNow(_ context.Context, list mallee.Paths, advertised []netip.AddrPort) resolve.Resolution {
	return a.Resolve(list, advertised)
}

func (a *atlas) Resolve(list mallee.Paths, advertised []netip.AddrPort) resolve.Resolution {
	a.mu.Lock()
	defer a.mu.Unlock()
	var r resolve.Resolution
	if list.Any {
		for _, portal := range advertised {
			spec := mallee.PathSpec{Endpoint: mallee.Endpoint{Addr: portal.Addr(), Port: portal.Port()}, Text: portal.String()}
			r.Paths = append(r.Paths, resolve.Path{PathSpec: spec, Portal: portal})
		}
	}
	for _, spec := range list.List {
		device, known := a.labels[spec.Label]
		addrs := a.names[spec.Name]
		if spec.Name == "" {
			addrs = []netip.Addr{spec.Addr}
		}
		if spec.Label != "" && !known {
			r.Paths = append(r.Paths, resolve.Path{PathSpec: spec, Unresolved: "no label " + spec.Label})
			continue
		}
		if len(addrs) == 0 {
			r.Paths = append(r.Paths, resolve.Path{PathSpec: spec, NetDevice: device, Unresolved: "no such host " + spec.Name})
		}
		for _, addr := range addrs {
			r.Paths = append(r.Paths, resolve.Path{PathSpec: spec, NetDevice: device, Portal: netip.AddrPortFrom(addr, spec.Port)})
		}
	}
	return r
}
