// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mallee-io/mallee/internal/query"
)

// verbose in place of an id stands for all. See checkIDs.
const verbose = "verbose"

// What a call's filters may have, of all values and of characters in one
// ("Filtering your resources"). Each value is held against each object.
const (
	maxFilterValues = 200
	maxFilterValue  = 255
)

// filter is one of a call's filters. An object passes when one of its values
// matches one of the filter's.
type filter struct {
	Name   string   `query:"Name,required"`
	Values []string `query:"Value"`
}

// filters are the filters that an action knows.
type filters[T any] struct {
	// fields tells for each name which values an object has for it.
	fields map[string]func(T) []string
	// tags makes tag:KEY and tag-key known; nil for objects without tags.
	tags func(T) map[string]string
}

const tagFilter = "tag:"

// values returns what tells the values of an object, nil for an unknown filter.
func (f filters[T]) values(name string) func(T) []string {
	switch key, isTag := strings.CutPrefix(name, tagFilter); {
	case f.tags == nil:
	case isTag:
		return func(object T) []string {
			if value, ok := f.tags(object)[key]; ok {
				return []string{value}
			}
			return nil
		}
	case name == "tag-key":
		return func(object T) []string { return slices.Collect(maps.Keys(f.tags(object))) }
	}
	return f.fields[name]
}

// names returns the names of all filters, sorted.
func (f filters[T]) names() []string {
	names := slices.Collect(maps.Keys(f.fields))
	if f.tags != nil {
		names = append(names, tagFilter+"KEY", "tag-key")
	}
	slices.Sort(names)
	return names
}

func (f filters[T]) check(asked []filter) error {
	count := 0
	for _, a := range asked {
		if f.values(a.Name) == nil {
			return query.Faultf("InvalidParameterValue", "The filter '%s' is invalid", a.Name)
		}
		if len(a.Values) == 0 {
			return query.Faultf("InvalidParameterValue", "The filter '%s' has no values", a.Name)
		}
		if slices.ContainsFunc(a.Values, func(v string) bool { return utf8.RuneCountInString(v) > maxFilterValue }) {
			return query.Faultf("InvalidParameterValue", "A value of the filter '%s' is longer than %d characters", a.Name, maxFilterValue)
		}
		count += len(a.Values)
	}
	if count > maxFilterValues {
		return query.Faultf("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
	}
	return nil
}

// apply returns the objects that pass all of asked, which check has accepted.
func (f filters[T]) apply(list []T, asked []filter) []T {
	return keep(list, func(object T) bool {
		for _, a := range asked {
			if !slices.ContainsFunc(f.values(a.Name)(object), func(value string) bool {
				return slices.ContainsFunc(a.Values, func(pattern string) bool { return matches(pattern, value) })
			}) {
				return false
			}
		}
		return true
	})
}

// choose returns the objects whose ids are asked for; all when none are. Absent
// makes the error for ids that no object has.
func choose[T any](list []T, ids []string, id func(T) string, absent func(ids ...string) *query.Fault) ([]T, error) {
	if len(ids) == 0 || slices.Contains(ids, verbose) {
		return list, nil
	}
	have, asked := map[string]bool{}, map[string]bool{}
	for _, object := range list {
		have[id(object)] = true
	}
	var missing []string
	for _, want := range ids {
		if !have[want] && !asked[want] {
			missing = append(missing, want)
		}
		asked[want] = true
	}
	if missing != nil {
		return nil, absent(missing...)
	}
	return keep(list, func(object T) bool { return asked[id(object)] }), nil
}

func keep[T any](list []T, ok func(T) bool) []T {
	var kept []T
	for _, object := range list {
		if ok(object) {
			kept = append(kept, object)
		}
	}
	return kept
}

// matches reports whether s matches the pattern of a filter, in which '*' stands
// for any characters, '?' for one, and a backslash takes that meaning from what
// follows it ("Filtering your resources"). It goes back to the latest '*' only,
// so that no pattern takes more than len(pattern)*len(s) steps.
func matches(pattern, s string) bool { return matchRunes([]rune(pattern), []rune(s)) }

func matchRunes(pattern, s []rune) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		literal := p
		if p+1 < len(pattern) && pattern[p] == '\\' {
			literal++
		}
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == '?', literal < len(pattern) && pattern[literal] == s[i]:
			p = literal + 1
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
