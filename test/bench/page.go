// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The table stands between these lines of the page, and nobody types it.
const (
	tableBegins = "<!-- make bench writes from here -->"
	tableEnds   = "<!-- to here -->"
)

// writePage puts the results of a file into the page.
func writePage(page, results string) error {
	r, err := readReport(results)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), tableBegins+"\n")
	_, after, ends := strings.Cut(rest, tableEnds+"\n")
	if !begins || !ends {
		return errors.New(page + " has no place for the table")
	}
	return os.WriteFile(page, []byte(before+tableBegins+"\n"+table(r)+tableEnds+"\n"+after), 0o644)
}

// table is one of all results for each machine.
func table(r report) string {
	var b strings.Builder
	for _, m := range append([]report{r}, r.Others...) {
		fmt.Fprintf(&b, "\n**%s**\n\n", m.Machine)
		b.WriteString("| | n | p50 | p99 | max | os-brick | ratio | floor | goal |\n")
		b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---|\n")
		for _, row := range rows {
			if x, ok := m.result(row.name); ok {
				b.WriteString(line(row, x))
			}
		}
	}
	b.WriteString("\n")
	return b.String()
}

func line(row row, x result) string {
	peer, ratio, lowest := "", "", ""
	for _, v := range x.Versus {
		switch v.Name {
		case osBrick:
			peer, ratio = fmt.Sprintf("%s (n %d)", number(v.P50), v.N), fmt.Sprintf("%s ×", number(v.Ratio))
		case healthy:
			lowest = fmt.Sprintf("%s healthy", number(v.P50))
		case floor:
			lowest = number(v.P50)
		}
	}
	unit := ""
	if x.Unit != "s" && x.Unit != "ratio" {
		unit = ", " + x.Unit
	}
	return fmt.Sprintf("| `%s`%s | %d | %s | %s | %s | %s | %s | %s | %s |\n",
		x.Name, unit, x.N, number(x.P50), number(x.P99), number(x.Max), peer, ratio, lowest, row.goal)
}

// number prints what was rounded as it is.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
