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

// Each word of the command line becomes one change or is an error, and no error
// tells a value.
func FuzzParseSettings(f *testing.F) {
	for _, seed := range [][3]string{
		{"P.storage.ncpaths\nnopath", "", ""},
		{"P.storage.ncpaths=a=b\nP.storage.bare=", "P.storage.sanpassword=-", "P.storage.bare=x"},
		{"a", "", ""},
		{"a=1\na=2", "", ""},
		{"=1", "", ""},
		{"a=1", "a=f", ""},
		{"a=1", "", "b=1"},
		{"a=1", "", "a=1\na=1"},
		{"", "a", "a"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	lines := func(text string) []string {
		return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	}
	f.Fuzz(func(t *testing.T, args, files, conditions string) {
		words, named, seen := lines(args), lines(files), lines(conditions)
		list, err := parseSettings(words, named, seen)
		if err != nil {
			return
		}
		if len(words) == 2 && !strings.Contains(words[0], "=") {
			words = []string{words[0] + "=" + words[1]}
		}
		if len(list) != len(words)+len(named) {
			t.Fatalf("%d words and %d files have become %d changes", len(words), len(named), len(list))
		}
		asked := 0
		for i, s := range list {
			given := s.Name + "=" + s.Value
			if i >= len(words) {
				given = s.Name + "=" + s.file
			}
			if want := slices.Concat(words, named)[i]; given != want || s.Name == "" {
				t.Errorf("%q has become %q", want, given)
			}
			if s.If != nil {
				asked++
				if !slices.Contains(seen, s.Name+"="+*s.If) {
					t.Errorf("nobody asked for %s=%s", s.Name, *s.If)
				}
			}
		}
		if asked != len(seen) {
			t.Errorf("%d conditions of %d", asked, len(seen))
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
