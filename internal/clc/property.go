// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

// The lists of paths, which much here is about.
const (
	ncPaths = mallee.PropertyNCPaths
	scPaths = mallee.PropertySCPaths
)

// property returns the value that a partition has for a property.
func (v *view) property(partition string, d mallee.PropertyDefinition) string {
	if r, ok := v.properties[partition+"."+d.Name]; ok {
		return r.Value
	}
	return d.Default
}

// settings returns the values of all properties of a partition, by their names
// within it. Hidden ones are there as they are.
func (v *view) settings(partition string) map[string]string {
	all := map[string]string{}
	for _, d := range mallee.PropertyDefinitions() {
		all[d.Name] = v.property(partition, d)
	}
	return all
}

// shown returns a property's value as people may see it.
func shown(d mallee.PropertyDefinition, value string) string {
	if d.Hidden && value != "" {
		return mallee.HiddenValue
	}
	return value
}

// Properties returns the properties of every partition that has ever had a
// storage controller, in the order of their names.
func (c *Controller) Properties(ctx context.Context) ([]mallee.Property, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return nil, err
	}
	var list []mallee.Property
	for _, p := range slices.Sorted(maps.Keys(v.partitions)) {
		for _, d := range mallee.PropertyDefinitions() {
			list = append(list, mallee.Property{
				Name: p + "." + d.Name, Value: shown(d, v.property(p, d)), Default: d.Default, Description: d.Description,
			})
		}
	}
	slices.SortFunc(list, func(a, b mallee.Property) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
