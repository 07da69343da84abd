// SPDX-License-Identifier: Apache-2.0

package pathcheck_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/pathcheck"
)

func reach(text, portal string, state mallee.ReachState, reason string) mallee.Reach {
	return mallee.Reach{Text: text, Portal: portal, State: state, Reason: reason}
}

var (
	up1   = reach("10.107.1.200", "10.107.1.200:3260", mallee.Reachable, "")
	up2   = reach("10.108.1.200", "10.108.1.200:3260", mallee.ReachUnsure, "")
	down1 = reach("10.107.1.200", "10.107.1.200:3260", mallee.Unreachable, "nobody answers")
	down2 = reach("10.108.1.200", "10.108.1.200:3260", mallee.Unreachable, "nobody answers")
	lost  = reach("iface1:10.108.1.200", "10.108.1.200:3260", mallee.Unresolved, "no such label")
)

// look is what a node has answered that has two paths today.
func look(name string, list ...mallee.Reach) pathcheck.Look {
	return pathcheck.Look{Site: mallee.Site{Role: mallee.RoleNC, Name: name, Live: true, Reach: list}, Today: 2}
}

func TestJudge(t *testing.T) {
	silent := look("nc9")
	silent.Problem = "no answer in time"
	offline := pathcheck.Look{Site: mallee.Site{Name: "nc8"}}
	poor := look("nc1", down1, down2)
	poor.Today = 0
	warned := look("nc1", up1, up2)
	warned.Site.Warnings = []string{"element 3 means the same as element 1"}
	var crowd []pathcheck.Look
	for i := range 100 {
		crowd = append(crowd, look(fmt.Sprintf("nc%02d", i), up1, down2))
	}
	crowd = append(crowd, look("ncx", up1, up2))
	for name, c := range map[string]struct {
		list     string
		min      int // 0 for 1
		portals  []string
		looks    []pathcheck.Look
		refused  []string
		warnings []string
	}{
		"all is well": {looks: []pathcheck.Look{look("nc1", up1, up2), look("nc2", up1, up2)}, portals: []string{"10.107.1.200:3260", "10.108.1.200:3260"}},
		"one node misses one path": {
			looks:    []pathcheck.Look{look("nc1", up1, up2), look("nc2", up1, down2)},
			warnings: []string{"10.108.1.200 is not reached from nc2"},
		},
		"one node has none": {
			looks:    []pathcheck.Look{look("nc1", down1, down2), look("nc2", up1, up2)},
			refused:  []string{"nc1: 0 of 2 paths, storage.minpaths asks for 1"},
			warnings: []string{"10.107.1.200 is not reached from nc1", "10.108.1.200 is not reached from nc1"},
		},
		"nobody reaches one": {
			looks:    []pathcheck.Look{look("nc1", up1, down2), look("nc2", up1, down2)},
			warnings: []string{"no machine reaches 10.108.1.200"},
		},
		"fewer than minpaths": {
			min:      2,
			looks:    []pathcheck.Look{look("nc1", up1, lost)},
			refused:  []string{"nc1: 1 of 2 paths, storage.minpaths asks for 2"},
			warnings: []string{"iface1:10.108.1.200 leads nowhere on nc1: no such label"},
		},
		"too few today as well": {
			looks: []pathcheck.Look{poor},
			warnings: []string{
				"nc1: 0 of 2 paths, storage.minpaths asks for 1; it has too few today, too",
				"10.107.1.200 is not reached from nc1", "10.108.1.200 is not reached from nc1",
			},
		},
		"nobody is there": {warnings: []string{"nobody could look: no machine that the list is for has answered"}},
		"only one answers": {
			looks:    []pathcheck.Look{look("nc1", up1, up2), offline, silent},
			warnings: []string{"not connected, so that nobody can tell what the list means there: nc8", "nc9: no answer in time"},
		},
		"what a node says itself": {looks: []pathcheck.Look{warned}, warnings: []string{"nc1: element 3 means the same as element 1"}},
		"not the SAN's": {
			looks:    []pathcheck.Look{look("nc1", up1, reach("san1", "10.109.1.1:3261", mallee.Reachable, "")), look("nc2", up1, up2)},
			portals:  []string{"10.107.1.200:3260", "10.108.1.200:3260"},
			warnings: []string{"san1 (10.109.1.1:3261) is none of the SAN's portals: 10.107.1.200:3260, 10.108.1.200:3260"},
		},
		"a zone is the node's": {
			looks:   []pathcheck.Look{look("nc1", reach("[fe80::1%eth1]", "[fe80::1%eth1]:3260", mallee.Reachable, ""))},
			portals: []string{"[fe80::1]:3260"},
		},
		"nopath, and the SAN is silent": {
			list: "nopath", looks: []pathcheck.Look{look("nc1")},
			warnings: []string{"the portals of the SAN are not known, so that nobody can tell what nopath means on nc1"},
		},
		"many nodes": {
			looks:    crowd,
			warnings: []string{"10.108.1.200 is not reached from nc00, nc01, nc02, nc03, nc04 and 95 more"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := pathcheck.Question{MinToday: 1, Min: max(1, c.min), Rule: "storage.minpaths asks for", Advertised: c.portals}
			q.Paths.Any = c.list == mallee.NoPath
			refused, warnings := pathcheck.Judge(q, c.looks)
			if d := cmp.Diff(c.refused, refused); d != "" {
				t.Errorf("refused: -want +got\n%s", d)
			}
			if d := cmp.Diff(c.warnings, warnings); d != "" {
				t.Errorf("warnings: -want +got\n%s", d)
			}
		})
	}
}

func TestTable(t *testing.T) {
	bound := reach("iface0:10.107.1.200", "10.107.1.200:3260", mallee.Reachable, "")
	bound.NetDevice, bound.Evidence = "eth1", mallee.ByNeighbour
	check := mallee.PathCheck{Sites: []mallee.Site{
		look("nc1", bound, up2).Site, look("nc2", down1, lost).Site, {Name: "nc3"},
	}}
	want := `NODE  PATH                 DEVICE  STATE        WHY
nc2   10.107.1.200         -       unreachable  nobody answers
nc2   iface1:10.108.1.200  -       unresolved   no such label
nc1   iface0:10.107.1.200  eth1    reachable    neighbour
nc1   10.108.1.200         -       unknown      -`
	if d := cmp.Diff(want, pathcheck.Table(check, 1000)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	lines := strings.Split(pathcheck.Table(check, 200), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "nc2") || lines[3] != "… and 2 more" {
		t.Errorf("a long one is cut to %q", lines)
	}
}
