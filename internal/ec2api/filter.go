// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"slices"

	"github.com/mallee-io/mallee/internal/query"
)

// verbose in place of an id stands for all. See checkIDs.
const verbose = "verbose"

// filter is one of a call's filters. An object passes when one of its values
// matches one of the filter's.
type filter struct {
	Name   string   `query:"Name,required"`
	Values []string `query:"Value"`
}

// filters tells for each name of a filter which values an object has for it.
type filters[T any] map[string]func(T) []string

func checkFilters[T any](asked []filter, known filters[T]) error {
	for _, f := range asked {
		if known[f.Name] == nil {
			return query.Faultf("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return query.Faultf("InvalidParameterValue", "The filter '%s' has no values", f.Name)
		}
	}
	return nil
}

// applyFilters returns the objects that pass all of asked, which checkFilters has accepted.
func applyFilters[T any](list []T, asked []filter, known filters[T]) []T {
	return keep(list, func(object T) bool {
		for _, f := range asked {
			if !slices.ContainsFunc(known[f.Name](object), func(value string) bool {
				return slices.ContainsFunc(f.Values, func(pattern string) bool { return matches(pattern, value) })
			}) {
				return false
			}
		}
		return true
	})
}

// choose returns the objects whose ids are asked for; all when none are.
func choose[T any](list []T, ids []string, id func(T) string) ([]T, error) {
	if len(ids) == 0 || slices.Contains(ids, verbose) {
		return list, nil
	}
	for _, want := range ids {
		if !slices.ContainsFunc(list, func(object T) bool { return id(object) == want }) {
			return nil, notFound(want)
		}
	}
	return keep(list, func(object T) bool { return slices.Contains(ids, id(object)) }), nil
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
// for any characters and '?' for one ("Filtering your resources"). It goes back
// to the latest '*' only, so that no pattern takes more than len(pattern)*len(s)
// steps.
func matches(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
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
