// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

const (
	// maxSets bounds the changes of one call: a transaction may hold 127 records,
	// and a change has two, the property and the event, beside its partition.
	maxSets = 40
	// maxSetting bounds a value in bytes. The longest list that makes sense, of 32
	// names with labels, has 10 KiB.
	maxSetting = 16 << 10
)

// step is what a wish to change a property comes to in the view that it was
// planned in.
type step struct {
	name       string // "PARTI00.storage.ncpaths"
	partition  string
	definition mallee.PropertyDefinition
	value, old string
	reset      bool
}

// change returns the step as people may see it.
func (s step) change() mallee.PropertyChange {
	return mallee.PropertyChange{Name: s.name, Value: shown(s.definition, s.value), OldValue: shown(s.definition, s.old)}
}

// plan checks all of the wishes, against each other and against what is, and
// returns a step for each, in their order.
func (v *view) plan(sets []mallee.PropertySet) ([]step, error) {
	if len(sets) > maxSets {
		return nil, refuse("set", mallee.Invalid, "", "%d changes are more than the %d that one call may have", len(sets), maxSets)
	}
	var steps []step
	for _, set := range sets {
		s, err := v.planOne(set)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(steps, func(other step) bool { return other.name == s.name }) {
			return nil, refuse(op(set), mallee.Invalid, s.name, "it is there twice")
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func (v *view) planOne(set mallee.PropertySet) (step, error) {
	partition, name, _ := strings.Cut(set.Name, ".")
	all := mallee.PropertyDefinitions()
	i := slices.IndexFunc(all, func(d mallee.PropertyDefinition) bool { return d.Name == name })
	if _, known := v.partitions[partition]; i < 0 || !known {
		return step{}, refuse(op(set), mallee.NotFound, set.Name, "no such property")
	}
	d := all[i]
	s := step{name: set.Name, partition: partition, definition: d, value: d.Default, old: v.property(partition, d), reset: set.Reset}
	switch {
	case set.Reset && set.Value != "":
		return step{}, refuse(op(set), mallee.Invalid, set.Name, "it is either set or reset")
	case !set.Reset && d.Hidden:
		s.value = set.Value
	case !set.Reset:
		s.value = strings.TrimSpace(set.Value)
	}
	if set.If != nil {
		if err := s.holds(*set.If); err != nil {
			return step{}, err
		}
	}
	if d.Name == mallee.PropertyBackend && s.value != s.old && v.hasVolumes(partition) {
		return step{}, refuse(op(set), mallee.ReadOnly, set.Name, "Cannot change extant storage backend configuration. "+
			"You must deregister all SCs in the partition before you can change the configuration value")
	}
	if len(s.value) > maxSetting {
		return step{}, refuse(op(set), mallee.Invalid, set.Name, "the value has %d bytes, and may have %d", len(s.value), maxSetting)
	}
	if err := d.Check(s.value); err != nil {
		return step{}, &mallee.Error{Op: op(set), Kind: mallee.Invalid, ID: set.Name, Err: err}
	}
	return s, nil
}

// holds tells whether the property has the value that the caller has seen. Of a
// hidden one nobody may ask: it could be found by trying.
func (s step) holds(seen string) error {
	switch {
	case s.definition.Hidden:
		return refuse("set", mallee.Invalid, s.name, "its value is hidden, and so cannot be a condition")
	case s.old != seen:
		return &mallee.Error{
			Op: "set", Kind: mallee.Changed, ID: s.name, Hint: "look at what it is now, and set it again if that is still right",
			Err: fmt.Errorf("its value is no longer %q but %q", seen, s.old),
		}
	}
	return nil
}

func op(set mallee.PropertySet) string {
	if set.Reset {
		return "reset"
	}
	return "set"
}

func (v *view) hasVolumes(partition string) bool {
	for _, r := range v.volumes {
		if r.Partition == partition {
			return true
		}
	}
	return false
}
