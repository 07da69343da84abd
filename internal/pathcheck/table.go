// SPDX-License-Identifier: Apache-2.0

package pathcheck

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mallee-io/mallee"
)

// Table returns a line for each machine and path of a check, for people, and a
// line at the head. Machines with the fewest paths come first, and what goes
// beyond so many bytes is counted and left out.
func Table(check mallee.PathCheck, limit int) string {
	sites := slices.Clone(check.Sites)
	slices.SortStableFunc(sites, func(a, b mallee.Site) int { return cmp.Compare(a.Possible(), b.Possible()) })
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tPATH\tDEVICE\tSTATE\tWHY")
	for _, s := range sites {
		for _, r := range s.Reach {
			why := r.Reason
			if r.Evidence != "" && why == "" {
				why = string(r.Evidence)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Name, pathOf(r), cmp.Or(r.NetDevice, "-"), r.State, cmp.Or(why, "-"))
		}
	}
	t.Flush() // a bytes.Buffer takes everything
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, size := 0, 0; i < len(lines); i++ {
		if size += len(lines[i]) + 1; size > limit {
			return strings.Join(append(lines[:i:i], fmt.Sprintf("… and %d more", len(lines)-i)), "\n")
		}
	}
	return strings.Join(lines, "\n")
}
