// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/mallee-io/mallee"

type pathRecord struct {
	VolumeID   mallee.VolumeID   `json:"volume_id"`
	InstanceID mallee.InstanceID `json:"instance_id"`
	Text       string            `json:"text,omitempty"`
	Interface  string            `json:"interface,omitempty"`
	NetDevice  string            `json:"net_device,omitempty"`
	Portal     string            `json:"portal"`
	State      mallee.PathState  `json:"state"`
	BlockDev   string            `json:"block_dev,omitempty"`
	Reason     string            `json:"reason,omitempty"`
}

type checkRecord struct {
	Name     string       `json:"name"`
	Value    string       `json:"value"`
	MinPaths int          `json:"min_paths"`
	Sites    []siteRecord `json:"sites"`
	Refused  []string     `json:"refused"`
	Warnings []string     `json:"warnings"`
}

type siteRecord struct {
	Role       mallee.Role       `json:"role"`
	Name       string            `json:"name"`
	InstanceID mallee.InstanceID `json:"instance_id,omitempty"`
	Partition  string            `json:"partition"`
	Live       bool              `json:"live"`
	Paths      string            `json:"paths"`
	Settled    bool              `json:"settled"`
	Devices    []deviceRecord    `json:"devices"`
	Labels     []labelRecord     `json:"labels"`
	Reach      []reachRecord     `json:"reach"`
	Warnings   []string          `json:"warnings"`
}

type deviceRecord struct {
	Name      string   `json:"name"`
	Up        bool     `json:"up"`
	Addresses []string `json:"addresses"`
}

type labelRecord struct {
	Label     string `json:"label"`
	NetDevice string `json:"net_device"`
	Source    string `json:"source"`
	Problem   string `json:"problem,omitempty"`
}

type reachRecord struct {
	Text      string               `json:"text"`
	Interface string               `json:"interface,omitempty"`
	NetDevice string               `json:"net_device,omitempty"`
	Portal    string               `json:"portal,omitempty"`
	State     mallee.ReachState    `json:"state"`
	Evidence  mallee.ReachEvidence `json:"evidence,omitempty"`
	Reason    string               `json:"reason,omitempty"`
}

func recordPath(p mallee.Path) pathRecord { return pathRecord(p) }

func recordCheck(c mallee.PathCheck) checkRecord {
	return checkRecord{
		Name: c.Name, Value: c.Value, MinPaths: c.MinPaths,
		Sites: convert(c.Sites, recordSite), Refused: convert(c.Refused, itself), Warnings: convert(c.Warnings, itself),
	}
}

func recordSite(s mallee.Site) siteRecord {
	return siteRecord{
		Role: s.Role, Name: s.Name, InstanceID: s.InstanceID, Partition: s.Partition,
		Live: s.Live, Paths: s.Paths, Settled: s.Settled,
		Devices:  convert(s.Devices, recordDevice),
		Labels:   convert(s.Labels, func(l mallee.InterfaceLabel) labelRecord { return labelRecord(l) }),
		Reach:    convert(s.Reach, func(r mallee.Reach) reachRecord { return reachRecord(r) }),
		Warnings: convert(s.Warnings, itself),
	}
}

func recordDevice(d mallee.NetDevice) deviceRecord {
	return deviceRecord{Name: d.Name, Up: d.Up, Addresses: convert(d.Addresses, itself)}
}

// itself makes convert a copy that is an empty list, not null, for none.
func itself(s string) string { return s }
