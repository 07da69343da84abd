// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

// labels is what the files say together.
type labels struct {
	list     []mallee.InterfaceLabel // sorted; with a problem where the device is not there
	warnings []string
}

// merge puts files together, the later of which count more.
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
				l.warnings = append(l.warnings, fmt.Sprintf("the label %q is %s in %s, which counts, and %s in %s",
					label, e.NetDevice, e.Source, before.NetDevice, before.Source))
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

// find returns the entry of a label.
func (l labels) find(label string) (mallee.InterfaceLabel, bool) {
	i, found := slices.BinarySearchFunc(l.list, label, func(e mallee.InterfaceLabel, label string) int { return strings.Compare(e.Label, label) })
	if !found {
		return mallee.InterfaceLabel{}, false
	}
	return l.list[i], true
}

// String is for the log: "iface0=br0, iface7=eth7 (no network device eth7 on this machine)".
func (l labels) String() string {
	entries := make([]string, len(l.list))
	for i, e := range l.list {
		entries[i] = e.Label + "=" + e.NetDevice
		if e.Problem != "" {
			entries[i] += " (" + e.Problem + ")"
		}
	}
	return strings.Join(entries, ", ")
}

// Labels returns what labels stand for on this machine, sorted.
func (r *Resolver) Labels() []mallee.InterfaceLabel {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.labels.list)
}
