// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
)

func (m *memory) Properties(ctx context.Context, prefixes ...string) ([]mallee.Property, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.Property
	for _, name := range slices.Sorted(maps.Keys(m.properties)) {
		if begins(name, prefixes) {
			p := *m.properties[name]
			p.Value = shown(name, p.Value)
			list = append(list, p)
		}
	}
	return list, nil
}

func begins(name string, prefixes []string) bool {
	return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// shown returns what people see of a value.
func shown(name, value string) string {
	if d, _ := definitionOf(name); d.Hidden && value != "" {
		return mallee.HiddenValue
	}
	return value
}

// SetProperties makes all changes or none, and remembers them, a minute apart.
func (m *memory) SetProperties(ctx context.Context, sets []mallee.PropertySet, force bool) (changes []mallee.PropertyChange, warnings []string, err error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	values := map[string]string{}
	for _, set := range sets {
		p := m.properties[set.Name]
		if p == nil {
			return nil, nil, refused("InvalidProperty.NotFound", "Failed to set property: No such property: %s", set.Name)
		}
		if set.If != nil && *set.If != p.Value {
			return nil, nil, refused("PropertyChanged", "Failed to set property: %s: its value is %q", set.Name, shown(set.Name, p.Value))
		}
		value := set.Value
		if set.Reset {
			value = p.Default
		}
		if d, ok := definitionOf(set.Name); ok && !set.Reset {
			if err := d.Check(value); err != nil {
				return nil, nil, refused("InvalidParameterValue", "Failed to set property: %s: %v", set.Name, err)
			}
		}
		if strings.HasSuffix(set.Name, "paths") {
			check := m.check(set.Name, value)
			warnings = append(warnings, check.Warnings...)
			switch {
			case len(check.Refused) > 0 && !force:
				return nil, nil, refused("PathsUnreachable", "Failed to set property: %s: too few paths would be left:\n%s\nmallee property set --force sets it all the same", set.Name, strings.Join(check.Refused, "\n"))
			case force:
				warnings = append(warnings, check.Refused...)
			}
		}
		values[set.Name] = value
		changes = append(changes, mallee.PropertyChange{Name: set.Name, Value: shown(set.Name, value), OldValue: shown(set.Name, p.Value)})
	}
	request := mallee.RequestID(fmt.Sprintf("request-%d", len(m.history)))
	for i, change := range changes {
		m.properties[change.Name].Value = values[change.Name]
		m.history = append(m.history, mallee.PropertyEvent{
			PropertyChange: change, Time: epoch.Add(time.Duration(len(m.history)) * time.Minute),
			AccessKey: "AKEXAMPLE", RequestID: request, Reset: sets[i].Reset, Forced: force,
		})
	}
	return changes, warnings, nil
}

func (m *memory) PropertyHistory(ctx context.Context, prefixes []string, most int) ([]mallee.PropertyEvent, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.PropertyEvent
	for _, e := range slices.Backward(m.history) {
		if begins(e.Name, prefixes) && len(list) < most {
			list = append(list, e)
		}
	}
	return list, nil
}
