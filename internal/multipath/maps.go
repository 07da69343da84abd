// SPDX-License-Identifier: Apache-2.0

package multipath

import (
	"context"
	"encoding/json"
	"fmt"
)

// Map is a multipath map as multipathd sees it.
type Map struct {
	WWID   string
	Name   string // alias; never use it to find a map
	Device string // "dm-0"
	Paths  []Path
}

// Path is a disk in a map.
type Path struct {
	Disk string // "sdb"
	// DM is the kernel's view: active or failed. Checker is the path checker's:
	// ready, faulty, ghost, shaky … Device is the SCSI device's state.
	DM, Checker, Device string
}

// Usable reports whether the kernel sends I/O down the path and the checker has
// nothing against it.
func (p Path) Usable() bool {
	return p.DM == "active" && (p.Checker == "ready" || p.Checker == "ghost" || p.Checker == "undef")
}

// Maps returns all maps that multipathd knows.
func (c Client) Maps(ctx context.Context) ([]Map, error) {
	reply, err := c.Command(ctx, "show maps json")
	if err != nil {
		return nil, err
	}
	maps, err := parseMaps([]byte(reply))
	if err != nil {
		return nil, fmt.Errorf("cannot read multipathd's maps: %w", err)
	}
	return maps, nil
}

// parseMaps reads the reply to "show maps json" (libmultipath/print.c).
func parseMaps(reply []byte) ([]Map, error) {
	var topology struct {
		Maps []struct {
			UUID       string `json:"uuid"` // the WWID, without "mpath-"
			Name       string `json:"name"`
			Sysfs      string `json:"sysfs"`
			PathGroups []struct {
				Paths []struct {
					Dev   string `json:"dev"`
					DMSt  string `json:"dm_st"`
					DevSt string `json:"dev_st"`
					ChkSt string `json:"chk_st"`
				} `json:"paths"`
			} `json:"path_groups"`
		} `json:"maps"`
	}
	if err := json.Unmarshal(reply, &topology); err != nil {
		return nil, err
	}
	var maps []Map
	for _, m := range topology.Maps {
		found := Map{WWID: m.UUID, Name: m.Name, Device: m.Sysfs}
		for _, g := range m.PathGroups {
			for _, p := range g.Paths {
				found.Paths = append(found.Paths, Path{Disk: p.Dev, DM: p.DMSt, Checker: p.ChkSt, Device: p.DevSt})
			}
		}
		maps = append(maps, found)
	}
	return maps, nil
}
