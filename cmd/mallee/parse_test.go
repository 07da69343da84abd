// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseTags(f *testing.F) {
	for _, seed := range []string{"", "=", "a", "a=", "=b", "a=b=c", "a=1\na=2", "Name=data\nteam=web", " = "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := strings.Split(text, "\n")
		tags, err := parseTags(list)
		if err != nil {
			return
		}
		if len(tags) != len(list) {
			t.Errorf("%q has become %d tags", list, len(tags))
		}
		for key, value := range tags {
			if key == "" || !slices.Contains(list, key+"="+value) {
				t.Errorf("nobody gave %q=%q", key, value)
			}
		}
	})
}

func FuzzParseFilters(f *testing.F) {
	for _, seed := range []string{"", "=", "status", "status=", "=x", "status=a\nstatus=b", "tag:a=b=c", "a=1\nb=2\na=3"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, filters, tags string) {
		list, err := parseFilters(strings.Split(filters, "\n"), strings.Split(tags, "\n"))
		if err != nil {
			return
		}
		var names []string
		values := 0
		for _, filter := range list {
			names = append(names, filter.Name)
			values += len(filter.Values)
		}
		if slices.Sort(names); len(slices.Compact(names)) != len(list) {
			t.Errorf("a name stands twice in %v", list)
		}
		if want := strings.Count(filters, "\n") + strings.Count(tags, "\n") + 2; values != want {
			t.Errorf("%d values of %d", values, want)
		}
	})
}

func FuzzValueFromFile(f *testing.F) {
	for _, seed := range []string{"", "\n", "x\n", "x\r\n", "x\n\n", "\xff", "a\x00", strings.Repeat("x", maxValue), strings.Repeat("x", maxValue+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		source := valueSource{stdin: strings.NewReader(text)}
		value, err := source.read("-")
		good := len(text) <= maxValue && utf8.ValidString(text) && !strings.Contains(text, "\x00")
		if (err == nil) != good {
			t.Fatalf("%q: %v", text, err)
		}
		if good && (!strings.HasPrefix(text, value) || strings.Trim(text[len(value):], "\r\n") != "") {
			t.Errorf("%q has become %q", text, value)
		}
		if _, err := source.read("-"); err == nil {
			t.Error("stdin was read twice")
		}
	})
}
