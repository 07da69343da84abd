// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

// Paths tells of four expected paths to each attached volume, one of them down.
func (m *memory) Paths(ctx context.Context, ids ...mallee.VolumeID) ([]mallee.Path, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.Path
	for _, id := range slices.Sorted(maps.Keys(m.volumes)) {
		if m.volumes[id].Attachment == nil || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		list = append(
			list,
			mallee.Path{VolumeID: id, InstanceID: node, Text: "iface0:10.107.1.200", Interface: "iface0", NetDevice: "eth1", Portal: "10.107.1.200:3260", State: mallee.PathUp, BlockDev: "sda"},
			mallee.Path{VolumeID: id, InstanceID: node, Text: "iface0:10.107.1.201", Interface: "iface0", NetDevice: "eth1", Portal: "10.107.1.201:3260", State: mallee.PathUp, BlockDev: "sdb"},
			mallee.Path{VolumeID: id, InstanceID: node, Text: "10.108.1.200", Portal: "10.108.1.200:3260", State: mallee.PathUp, BlockDev: "sdc"},
			mallee.Path{VolumeID: id, InstanceID: node, Text: "san2", State: mallee.PathUnresolved, Reason: "no such name"},
		)
		if m.strange {
			p := &list[len(list)-2]
			p.State, p.BlockDev, p.Reason = mallee.PathQuarantined, "", "LUN 5 has identity 36001405000000000000000000000000b, not 36001405000000000000000000000000a"
		}
		if m.draining {
			list = append(list, mallee.Path{VolumeID: id, InstanceID: node, Portal: "10.108.1.202:3260", State: mallee.PathDraining, BlockDev: "sdd"})
		}
	}
	return list, nil
}

// CheckPaths looks at nc1, which reaches 10.107.0.0/16 over eth1 and 10.108.0.0/16
// over eth2, at nc2, which has no label and reaches the first only, and at nc3,
// which is offline; or at sc1, which reaches all.
func (m *memory) CheckPaths(ctx context.Context, name string, value *string, probe bool) (mallee.PathCheck, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.PathCheck{}, err
	}
	defer leave()
	p := m.properties[name]
	if p == nil {
		return mallee.PathCheck{}, refused("InvalidProperty.NotFound", "Failed to set property: No such property: %s", name)
	}
	if value == nil {
		check := m.check(name, p.Value) // which nobody refuses: it is so
		check.Warnings, check.Refused = append(check.Warnings, check.Refused...), nil
		return check, nil
	}
	if _, err := mallee.ParsePaths(*value); err != nil {
		return mallee.PathCheck{}, refused("InvalidParameterValue", "Failed to set property: %s: %v", name, err)
	}
	check := m.check(name, *value)
	for _, s := range check.Sites {
		for i := range s.Reach {
			if probe && s.Reach[i].State == mallee.ReachUnsure {
				s.Reach[i].State, s.Reach[i].Evidence = mallee.Reachable, mallee.ByTCP
			}
		}
	}
	return check, nil
}

func (m *memory) check(name, value string) mallee.PathCheck {
	c := mallee.PathCheck{Name: name, Value: value, MinPaths: 1}
	if strings.HasSuffix(name, ".scpaths") {
		c.Sites = []mallee.Site{site(mallee.RoleSC, "sc1", value, map[string]string{"10.107": "eth1", "10.108": "eth2"})}
		return c
	}
	c.Sites = []mallee.Site{
		site(mallee.RoleNC, "nc1", value, map[string]string{"10.107": "eth1", "10.108": "eth2"}),
		site(mallee.RoleNC, "nc2", value, map[string]string{"10.107": "eth1"}),
		{Role: mallee.RoleNC, Name: "nc3", InstanceID: "i-00000003", Partition: "PARTI00"},
	}
	c.Sites[0].InstanceID, c.Sites[1].InstanceID = node, "i-00000002"
	c.Sites[0].Labels = []mallee.InterfaceLabel{
		{Label: "iface0", NetDevice: "eth1", Source: "/etc/eucalyptus/eucalyptus.conf"},
		{Label: "iface1", NetDevice: "eth9", Source: "/etc/eucalyptus/eucalyptus.conf", Problem: "there is no device eth9"},
	}
	c.Warnings = []string{"nc3 is offline: nobody knows what it reaches"}
	for _, s := range c.Sites[:2] {
		if s.Possible() < c.MinPaths {
			c.Refused = append(c.Refused, fmt.Sprintf("%s: 0 of %d paths can be reached, 1 is needed", s.Name, len(s.Reach)))
		}
	}
	return c
}

// site is a machine with a device for the networks that begin so.
func site(role mallee.Role, name, value string, devices map[string]string) mallee.Site {
	s := mallee.Site{Role: role, Name: name, Partition: "PARTI00", Live: true, Paths: value, Settled: true}
	for _, network := range slices.Sorted(maps.Keys(devices)) {
		s.Devices = append(s.Devices, mallee.NetDevice{Name: devices[network], Up: true, Addresses: []string{network + ".1.101/24"}})
	}
	paths, _ := mallee.ParsePaths(value)
	if paths.Any {
		paths, _ = mallee.ParsePaths("10.107.1.200,10.108.1.200")
	}
	for _, p := range paths.List {
		r := mallee.Reach{Text: p.Text, Interface: p.Label, State: mallee.Unresolved}
		switch {
		case p.Name != "":
			r.Reason = "no such name"
		case p.Label != "" && (p.Label != "iface0" || name != "nc1"):
			r.Reason = fmt.Sprintf("no label %q in STORAGE_INTERFACES", p.Label)
		default:
			r.Portal = netip.AddrPortFrom(p.Addr, p.Port).String()
			r.NetDevice = devices[strings.Join(strings.Split(p.Addr.String(), ".")[:2], ".")]
			r.State, r.Evidence = mallee.Reachable, mallee.ByNeighbour
			switch {
			case strings.HasPrefix(r.Portal, "10.200."):
				r.State, r.Evidence = mallee.ReachUnsure, mallee.ByGateway
			case r.NetDevice == "":
				r.State, r.Evidence, r.Reason = mallee.Unreachable, "", "no answer"
			}
		}
		s.Reach = append(s.Reach, r)
	}
	return s
}
