// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// columns aligns rows that come in parts. A part keeps the widths of those before
// it, and grows a column only where it must.
type columns struct{ widths []int }

// align returns rows as lines. An empty cell becomes "-", so that a column keeps
// its number for awk.
func (c *columns) align(rows [][]string) string {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(c.widths) {
				c.widths = append(c.widths, 0)
			}
			c.widths[i] = max(c.widths[i], utf8.RuneCountInString(cmp.Or(cell, "-")))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			cell = cmp.Or(cell, "-")
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", c.widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// table aligns a header and rows.
func table(header []string, rows [][]string) string {
	return new(columns).align(append([][]string{header}, rows...))
}
