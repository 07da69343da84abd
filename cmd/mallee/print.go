// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
)

// print writes a result to stdout: value as JSON, or what text returns.
func (t *tool) print(value any, text func() string) error {
	if t.output != "json" {
		_, err := fmt.Fprint(t.stdout, text())
		return err
	}
	encoder := json.NewEncoder(t.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// table aligns rows in columns. An empty cell becomes "-", so that a column keeps
// its number for awk.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cmp.Or(cell, "-"))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}

// convert returns f of each element, and an empty list, not null, for none.
func convert[From, To any](list []From, f func(From) To) []To {
	converted := make([]To, 0, len(list))
	for _, element := range list {
		converted = append(converted, f(element))
	}
	return converted
}
