// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/mallee-io/mallee"
)

// describeCheck writes a check as a table of machines and paths, with what refuses
// the list and what else to know below it.
func describeCheck(c mallee.PathCheck, proposed bool) string {
	verb := "is"
	if proposed {
		verb = "would be"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q; each machine needs %s\n", c.Name, verb, c.Value, count(c.MinPaths, "path"))
	var rows [][]string
	for _, s := range c.Sites {
		rows = append(rows, siteRows(s)...)
	}
	b.WriteString(table([]string{"MACHINE", "PATH", "NETDEV", "PORTAL", "STATE", "EVIDENCE", "REASON"}, rows))
	for _, s := range c.Sites {
		for _, warning := range s.Warnings {
			fmt.Fprintf(&b, "warning: %s: %s\n", s.Name, warning)
		}
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	for _, refused := range c.Refused {
		fmt.Fprintf(&b, "refused: %s\n", refused)
	}
	return b.String()
}

// siteRows returns a row for each path, or one that tells why there is none.
func siteRows(s mallee.Site) [][]string {
	if !s.Live {
		return [][]string{{s.Name, "", "", "", "offline", "", ""}}
	}
	if len(s.Reach) == 0 {
		return [][]string{{s.Name, "", "", "", string(mallee.ReachUnsure), "", "it has told of no path"}}
	}
	var rows [][]string
	for _, r := range s.Reach {
		rows = append(rows, []string{s.Name, r.Text, r.NetDevice, r.Portal, string(r.State), string(r.Evidence), r.Reason})
	}
	return rows
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
