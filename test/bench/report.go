// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report is what bench.json holds: what was measured on one machine and, of runs on
// other backends of the lab, theirs.
type report struct {
	Machine string   `json:"machine"` // begins with the backend and a colon
	Results []result `json:"results"`
	Others  []report `json:"others,omitempty"`
}

// backend returns the lab's backend that r was measured on.
func (r report) backend() string {
	backend, _, _ := strings.Cut(r.Machine, ":")
	return backend
}

// result returns the result of that name.
func (r report) result(name string) (result, bool) {
	i := slices.IndexFunc(r.Results, func(x result) bool { return x.Name == name })
	if i < 0 {
		return result{}, false
	}
	return r.Results[i], true
}

// first is the backend whose results stand first in the file.
const first = "uml"

// merged returns all with r in place of what it has of the same rows on the same
// backend. Rows that r does not have stay, if the machine is the same.
func merged(all, r report) report {
	byBackend := map[string]report{}
	for _, x := range append([]report{all}, all.Others...) {
		if x.Machine != "" {
			byBackend[x.backend()] = report{Machine: x.Machine, Results: x.Results}
		}
	}
	if before := byBackend[r.backend()]; before.Machine == r.Machine {
		r.Results = replaced(before.Results, r.Results)
	}
	byBackend[r.backend()] = report{Machine: r.Machine, Results: r.Results}
	var out report
	if x, ok := byBackend[first]; ok {
		out = x
		delete(byBackend, first)
	}
	for _, x := range byBackend {
		if out.Machine == "" {
			out = x
			continue
		}
		out.Others = append(out.Others, x)
	}
	return out
}

// replaced returns the results of both in the order of rows, those of after for what
// both have.
func replaced(before, after []result) []result {
	var list []result
	for _, row := range rows {
		for _, results := range [][]result{after, before} {
			if x, ok := (report{Results: results}).result(row.name); ok {
				list = append(list, x)
				break
			}
		}
	}
	return list
}

// merge puts r into the file.
func merge(file string, r report) error {
	all, err := readReport(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := json.MarshalIndent(merged(all, r), "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func readReport(file string) (report, error) {
	var r report
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}
