// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/mallee-io/mallee"
)

// labels is what the files together say.
type labels struct {
	list     []mallee.InterfaceLabel // sorted by label, each with a problem if its device is not there
	warnings []string
}

func (l labels) equal(m labels) bool {
	return slices.Equal(l.list, m.list) && slices.Equal(l.warnings, m.warnings)
}

// find returns the entry of a label.
func (l labels) find(label string) (mallee.InterfaceLabel, bool) {
	i := slices.IndexFunc(l.list, func(e mallee.InterfaceLabel) bool { return e.Label == label })
	if i < 0 {
		return mallee.InterfaceLabel{}, false
	}
	return l.list[i], true
}

// merge puts files together, of which the later count more.
func merge(files []*file, present map[string]bool) labels {
	var l labels
	entries := map[string]mallee.InterfaceLabel{}
	for _, f := range files {
		l.warnings = append(l.warnings, f.warnings...)
		if f.fault != "" {
			l.warnings = append(l.warnings, f.fault)
		}
		for _, label := range slices.Sorted(maps.Keys(f.devices)) {
			e := mallee.InterfaceLabel{Label: label, NetDevice: f.devices[label], Source: f.path}
			if before, twice := entries[label]; twice && before.NetDevice != e.NetDevice {
				l.warnings = append(l.warnings, fmt.Sprintf("the label %q is %s in %s, which counts, and %s in %s", label, e.NetDevice, e.Source, before.NetDevice, before.Source))
			}
			if !present[e.NetDevice] {
				e.Problem = noDevice(e.NetDevice)
			}
			entries[label] = e
		}
	}
	for _, label := range slices.Sorted(maps.Keys(entries)) {
		l.list = append(l.list, entries[label])
	}
	return l
}

func noDevice(name string) string { return fmt.Sprintf("no network device %s on this machine", name) }

// Labels returns what labels stand for on this machine, sorted by label.
func (r *Resolver) Labels() []mallee.InterfaceLabel {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.labels.list)
}

// poll looks at files and devices.
func (r *Resolver) poll(ctx context.Context) {
	names, err := r.netDevices()
	for _, f := range r.files {
		f.poll()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// When the kernel does not answer, the devices are what they were.
	if err == nil {
		r.devices = make(map[string]bool, len(names))
		for _, d := range names {
			r.devices[d] = true
		}
	}
	before := r.labels
	r.labels = merge(r.files, r.devices)
	changed := !r.labels.equal(before)
	for zone, there := range r.zones {
		if r.devices[zone] != there {
			r.zones[zone], changed = !there, true
		}
	}
	if !changed {
		return
	}
	for _, w := range r.labels.warnings {
		if !slices.Contains(before.warnings, w) {
			r.log.WarnContext(ctx, w)
		}
	}
	if !slices.Equal(before.list, r.labels.list) {
		r.log.InfoContext(ctx, "storage interfaces have changed", "labels", r.labels.String())
	}
	// Whoever changes files may have changed DNS with them.
	r.lookupAll()
	r.tell()
}

// String is for logs.
func (l labels) String() string {
	var s string
	for i, e := range l.list {
		if i > 0 {
			s += ","
		}
		s += e.Label + "=" + e.NetDevice
		if e.Problem != "" {
			s += " (" + e.Problem + ")"
		}
	}
	return s
}

func kernelDevices() ([]string, error) {
	devices, err := net.Interfaces()
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Name
	}
	return names, err
}
