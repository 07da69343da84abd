// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"slices"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// siteOf returns a site with what its machine has told.
func siteOf(site mallee.Site, told *cloudv1.Site) mallee.Site {
	site.Devices, site.Labels = nil, nil
	for _, d := range told.GetDevices() {
		site.Devices = append(site.Devices, mallee.NetDevice{Name: d.GetName(), Up: d.GetUp(), Addresses: d.GetAddresses()})
	}
	for _, l := range told.GetLabels() {
		site.Labels = append(site.Labels, mallee.InterfaceLabel{
			Label: l.GetLabel(), NetDevice: l.GetDevice(), Source: l.GetSource(), Problem: l.GetProblem(),
		})
	}
	site.Reach, site.Warnings = reachOf(told.GetReach()), told.GetWarnings()
	return site
}

// isOf reports whether reach is of a list. A node that has been told a new list has
// not looked for its paths yet, and tells of the list before.
func isOf(reach []mallee.Reach, list string) bool {
	paths, err := mallee.ParsePaths(list)
	return err == nil && !slices.ContainsFunc(reach, func(r mallee.Reach) bool {
		return !paths.Any && !slices.ContainsFunc(paths.List, func(s mallee.PathSpec) bool { return s.Text == r.Text })
	})
}

func reachOf(told []*cloudv1.Reach) (list []mallee.Reach) {
	for _, r := range told {
		list = append(list, mallee.Reach{
			Text: r.GetText(), Interface: r.GetLabel(), NetDevice: r.GetDevice(), Portal: r.GetPortal(),
			State: mallee.ReachState(r.GetState()), Evidence: mallee.ReachEvidence(r.GetEvidence()), Reason: r.GetReason(),
		})
	}
	return list
}
