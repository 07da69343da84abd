// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// loadOrder returns the files of modules and of all that they need, each before
// what needs it. modulesDep is modules.dep(5): a line for each module with its file,
// a colon, and the files that it needs.
func loadOrder(modulesDep string, modules []string) ([]string, error) {
	needs := map[string][]string{}
	files := map[string]string{}
	for line := range strings.Lines(modulesDep) {
		file, list, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		needs[file] = strings.Fields(list)
		files[strings.TrimSuffix(path.Base(file), ".ko")] = file
	}
	var order []string
	seen := map[string]bool{}
	var load func(file string)
	load = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		// The last one is the first that has to be loaded.
		for _, needed := range slices.Backward(needs[file]) {
			load(needed)
		}
		order = append(order, file)
	}
	for _, m := range modules {
		file, ok := files[m]
		if !ok {
			return nil, fmt.Errorf("the kernel has no module %s", m)
		}
		load(file)
	}
	return order, nil
}
