// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// row is one thing that is measured.
type row struct {
	name, unit string
	// goal is what the first issue of the connector asks for, in words.
	goal string
	// over makes it the distance of that row from its floor.
	over string
}

// rows are all of them, in the order of the table.
var rows = []row{
	{name: "attach_cold_2", unit: "s", goal: "10 ×"},
	{name: "attach_cold_2_complete", unit: "s"},
	{name: "attach_cold_4", unit: "s", goal: "10 ×"},
	{name: "attach_cold_4_complete", unit: "s"},
	{name: "attach_warm", unit: "s", goal: "20 ×"},
	{name: "attach_warm_complete", unit: "s"},
	{name: "attach_dead_portal", unit: "s", goal: "100 ×"},
	{name: "detach", unit: "s", goal: "15 ×"},
	{name: "detach_last", unit: "s", goal: "15 ×"},
	{name: "storm_32x4", unit: "s", goal: "20 ×"},
	{name: "storm_32x4_complete", unit: "s"},
	{name: "storm_32x4_detach", unit: "s", goal: "20 ×"},
	{name: "floor_distance_cold", unit: "ratio", goal: "≤ 1.3", over: "attach_cold_2"},
	{name: "floor_distance_cold_4", unit: "ratio", goal: "≤ 1.3", over: "attach_cold_4"},
	{name: "floor_distance_warm", unit: "ratio", goal: "≤ 1.3", over: "attach_warm"},
	{name: "floor_distance_detach", unit: "ratio", goal: "≤ 1.3", over: "detach"},
	{name: "warm_attach_processes", unit: "processes", goal: "0"},
	{name: "warm_attach_processes_system", unit: "processes"},
	{name: "warm_detach_processes", unit: "processes", goal: "0"},
	{name: "warm_detach_processes_system", unit: "processes"},
	{name: "hung_lun", unit: "s", goal: "as without"},
	{name: "nc_256x4_rss", unit: "MB", goal: "≤ 60"},
	{name: "nc_256x4_idle_cpu", unit: "percent of a core", goal: "< 1"},
}

// contests returns the parts of a run, in their order.
func contests() []contest {
	return []contest{
		{"attach_cold_2", cold(2), []string{"attach_cold_2", "attach_cold_2_complete", "detach_last", "floor_distance_cold"}},
		{"attach_cold_4", cold(4), []string{"attach_cold_4", "attach_cold_4_complete", "floor_distance_cold_4"}},
		{"attach_warm", warm, []string{
			"attach_warm", "attach_warm_complete", "detach", "floor_distance_warm", "floor_distance_detach",
			"warm_attach_processes", "warm_attach_processes_system", "warm_detach_processes", "warm_detach_processes_system",
		}},
		{"attach_dead_portal", deadPortal, []string{"attach_dead_portal"}},
		{"storm_32x4", storm, []string{"storm_32x4", "storm_32x4_complete", "storm_32x4_detach"}},
		{"hung_lun", hungLUN, []string{"hung_lun"}},
		{"nc_256x4", scale, []string{"nc_256x4_rss", "nc_256x4_idle_cpu"}},
	}
}

// choose returns the contests of some rows, or with those names, divided by commas, in
// their order, and all for none.
func choose(only string) ([]contest, error) {
	if only == "" {
		return contests(), nil
	}
	names := strings.Split(only, ",")
	chosen := slices.DeleteFunc(contests(), func(c contest) bool {
		return !slices.ContainsFunc(names, c.has)
	})
	for _, name := range names {
		if !slices.ContainsFunc(chosen, func(c contest) bool { return c.has(name) }) {
			return nil, fmt.Errorf("there is no row %q: docs/explanation/performance.md has their names", name)
		}
	}
	return chosen, nil
}

func (c contest) has(name string) bool { return c.name == name || slices.Contains(c.rows, name) }
