// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerged(t *testing.T) {
	warm := func(v float64) result { return result{Name: "attach_warm", Unit: "s", N: 1, P50: v, P99: v, Max: v} }
	cold := result{Name: "attach_cold_2", Unit: "s", N: 1, P50: 1, P99: 1, Max: 1}
	for _, test := range []struct {
		name   string
		all, r report
		want   report
	}{
		{"the first run", report{}, report{Machine: "uml: a", Results: []result{warm(1)}}, report{Machine: "uml: a", Results: []result{warm(1)}}},
		{
			"another row on the same machine, in the order of the rows",
			report{Machine: "uml: a", Results: []result{warm(1)}},
			report{Machine: "uml: a", Results: []result{cold}},
			report{Machine: "uml: a", Results: []result{cold, warm(1)}},
		},
		{
			"a row again",
			report{Machine: "uml: a", Results: []result{cold, warm(1)}},
			report{Machine: "uml: a", Results: []result{warm(2)}},
			report{Machine: "uml: a", Results: []result{cold, warm(2)}},
		},
		{
			"another machine: figures of two are never one table",
			report{Machine: "uml: a", Results: []result{cold, warm(1)}},
			report{Machine: "uml: b", Results: []result{warm(2)}},
			report{Machine: "uml: b", Results: []result{warm(2)}},
		},
		{
			"another backend stands beside",
			report{Machine: "uml: a", Results: []result{warm(1)}},
			report{Machine: "qemu: a", Results: []result{warm(2)}},
			report{Machine: "uml: a", Results: []result{warm(1)}, Others: []report{{Machine: "qemu: a", Results: []result{warm(2)}}}},
		},
		{
			"UML stands first, whenever it comes",
			report{Machine: "qemu: a", Results: []result{warm(2)}},
			report{Machine: "uml: a", Results: []result{warm(1)}},
			report{Machine: "uml: a", Results: []result{warm(1)}, Others: []report{{Machine: "qemu: a", Results: []result{warm(2)}}}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, merged(test.all, test.r)); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWritePage(t *testing.T) {
	dir := t.TempDir()
	results, page := filepath.Join(dir, "build", "bench.json"), filepath.Join(dir, "page.md")
	if err := merge(results, report{Machine: "uml: a", Results: []result{{
		Name: "attach_warm", Unit: "s", N: 20, P50: 0.125, P99: 0.25, Max: 0.25,
		Versus: []versus{{Name: osBrick, N: 3, P50: 5, Max: 6, Ratio: 40}, {Name: floor, N: 20, P50: 0.1, Max: 0.2, Ratio: 0.8}},
	}}}); err != nil {
		t.Fatal(err)
	}
	before, after := "# Title\n\n"+tableBegins+"\n", tableEnds+"\n\nThe end.\n"
	if err := os.WriteFile(page, []byte(before+"old\n"+after), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := writePage(page, results); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := "| `attach_warm` | 20 | 0.125 | 0.25 | 0.25 | 5 (n 3) | 40 × | 0.1 | 20 × |\n"
	if s := string(text); !strings.HasPrefix(s, before) || !strings.HasSuffix(s, after) || !strings.Contains(s, want) || strings.Contains(s, "old") {
		t.Errorf("the page is\n%s", s)
	}
	if err := os.WriteFile(page, []byte("no place\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePage(page, results); err == nil {
		t.Error("a page without a place for the table is no error")
	}
}
