// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/store"
)

// definition is a property that each partition has.
type definition struct {
	name        string // within the partition: "storage.ncpaths"
	fallback    string // the value until one is set, and after a reset
	description string
	check       func(value string) error
}

// The names of the properties within a partition.
const (
	ncPaths       = "storage.ncpaths"
	scPaths       = "storage.scpaths"
	sanHost       = "storage.sanhost"
	noPathTimeout = "storage.nopathtimeout"
)

// definitions are all properties, in the order of their names.
func definitions() []definition {
	return []definition{
		{ncPaths, mallee.NoPath, "iSCSI Paths for NC. Default value is 'nopath'", checkPaths},
		{noPathTimeout, "120", "How long I/O waits while a volume has no usable path, in seconds.", checkSeconds},
		{sanHost, "", "Hostname for SAN device.", checkHosts},
		{scPaths, mallee.NoPath, "iSCSI Paths for SC. Default value is 'nopath'", checkPaths},
	}
}

func checkPaths(value string) error {
	_, err := mallee.ParsePaths(value)
	return err
}

func checkHosts(value string) error {
	_, err := mallee.ParseHosts(value, config.SPAdminPort)
	return err
}

func checkSeconds(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 3600 {
		return fmt.Errorf("%q is not a number of seconds from 1 to 3600", value)
	}
	return nil
}

// property returns the value that a partition has for a property.
func (v *view) property(partition string, d definition) string {
	if r, ok := v.properties[partition+"."+d.name]; ok {
		return r.Value
	}
	return d.fallback
}

// settings returns the values of all properties of a partition, by their names
// within it.
func (v *view) settings(partition string) map[string]string {
	all := map[string]string{}
	for _, d := range definitions() {
		all[d.name] = v.property(partition, d)
	}
	return all
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
		for _, d := range definitions() {
			list = append(list, mallee.Property{
				Name: p + "." + d.name, Value: v.property(p, d), Default: d.fallback, Description: d.description,
			})
		}
	}
	slices.SortFunc(list, func(a, b mallee.Property) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// SetProperty sets a property and tells its old value. Agents that are
// connected are sent the new value at once.
func (c *Controller) SetProperty(ctx context.Context, name, value string) (mallee.PropertyChange, error) {
	return c.changeProperty(ctx, "set", name, func(d definition) (*propertyRecord, error) {
		if err := d.check(value); err != nil {
			return nil, &mallee.Error{Op: "set", Kind: mallee.Invalid, ID: name, Err: err}
		}
		return &propertyRecord{Value: value}, nil
	})
}

// ResetProperty gives a property its default and tells its old value.
func (c *Controller) ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error) {
	return c.changeProperty(ctx, "reset", name, func(definition) (*propertyRecord, error) { return nil, nil })
}

// changeProperty stores the record that next returns; nil stands for the default.
func (c *Controller) changeProperty(ctx context.Context, op, name string, next func(definition) (*propertyRecord, error)) (mallee.PropertyChange, error) {
	partition, key, _ := strings.Cut(name, ".")
	i := slices.IndexFunc(definitions(), func(d definition) bool { return d.name == key })
	if i < 0 || !mallee.ValidPartition(partition) {
		return mallee.PropertyChange{}, refuse(op, mallee.NotFound, name, "no such property")
	}
	d := definitions()[i]
	change := mallee.PropertyChange{Name: name}
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		if _, found, err := partitions.Get(tx, partition); err != nil || !found {
			if err == nil {
				err = refuse(op, mallee.NotFound, name, "no such property")
			}
			return err
		}
		old, found, err := properties.Get(tx, name)
		if err != nil {
			return err
		}
		if !found {
			old.Value = d.fallback
		}
		record, err := next(d)
		if err != nil {
			return err
		}
		change.OldValue = old.Value
		if record == nil {
			change.Value = d.fallback
			return properties.Delete(tx, name)
		}
		change.Value = record.Value
		return properties.Put(tx, name, *record)
	})
	if err != nil {
		return mallee.PropertyChange{}, err
	}
	c.log.InfoContext(ctx, "property changed", "property", name, "value", change.Value, "old_value", change.OldValue)
	return change, nil
}
