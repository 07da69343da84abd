// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
)

// setting is what the command line says of one property.
type setting struct {
	mallee.PropertySet
	file string // that holds the value; empty when the command line does
}

// parseSettings returns what to set: arguments that are NAME VALUE or a list of
// NAME=VALUE, files that are NAME=FILE, conditions that are NAME=VALUE. No error
// tells a value.
func parseSettings(args, files, conditions []string) ([]setting, error) {
	if len(args) == 2 && !strings.Contains(args[0], "=") {
		args = []string{args[0] + "=" + args[1]}
	}
	var list []setting
	find := func(name string) int { return slices.IndexFunc(list, func(s setting) bool { return s.Name == name }) }
	add := func(name string, s setting) error {
		if find(name) >= 0 {
			return fmt.Errorf("%s is given twice", name)
		}
		s.Name = name
		list = append(list, s)
		return nil
	}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("argument %q: write NAME=VALUE, or only NAME VALUE", name)
		}
		if err := add(name, setting{PropertySet: mallee.PropertySet{Value: value}}); err != nil {
			return nil, err
		}
	}
	for _, option := range files {
		name, file, ok := strings.Cut(option, "=")
		if !ok || name == "" || file == "" {
			return nil, fmt.Errorf("--from-file %s: write NAME=FILE", option)
		}
		if err := add(name, setting{file: file}); err != nil {
			return nil, err
		}
	}
	for _, option := range conditions {
		name, value, ok := strings.Cut(option, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--if %s: write NAME=VALUE", name)
		}
		i := find(name)
		switch {
		case i < 0:
			return nil, fmt.Errorf("--if %s: only a property that is set can be asked for its value", name)
		case list[i].If != nil:
			return nil, fmt.Errorf("--if %s is given twice", name)
		}
		list[i].If = &value
	}
	return list, nil
}

// read returns the changes with the values that are in files, and warns of secrets
// that are on the command line.
func (t *tool) read(settings []setting) ([]mallee.PropertySet, error) {
	source := valueSource{stdin: t.stdin}
	var sets []mallee.PropertySet
	for _, s := range settings {
		if s.file != "" {
			value, err := source.read(s.file)
			if err != nil {
				return nil, &mallee.Error{Op: "read the value of", Kind: mallee.Invalid, ID: s.Name, Err: err}
			}
			s.Value = value
		}
		if d, ok := definitionOf(s.Name); ok && d.Hidden && (s.file == "" && s.Value != "" || s.If != nil) {
			t.warn("what was given for %s is in the shell's history and was in the list of processes; keep it out with --from-file %[1]s=FILE", s.Name)
		}
		sets = append(sets, s.PropertySet)
	}
	return sets, nil
}

// definitionOf returns the definition of the property of that whole name.
func definitionOf(name string) (mallee.PropertyDefinition, bool) {
	_, within, _ := strings.Cut(name, ".")
	all := mallee.PropertyDefinitions()
	i := slices.IndexFunc(all, func(d mallee.PropertyDefinition) bool { return d.Name == within })
	if i < 0 {
		return mallee.PropertyDefinition{}, false
	}
	return all[i], true
}

// propertyTable returns the properties that each partition has, for the help. It is
// indented, so that the pages made from the help keep its lines.
func propertyTable() string {
	rows := convert(mallee.PropertyDefinitions(), func(d mallee.PropertyDefinition) []string {
		return []string{"    PARTITION." + d.Name, d.Default, d.Description}
	})
	return strings.TrimRight(table([]string{"    PROPERTY", "DEFAULT", "DESCRIPTION"}, rows), "\n")
}
