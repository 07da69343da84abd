// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzMatches(f *testing.F) {
	for _, seed := range [][2]string{
		{`a\*b`, "a*b"},
		{`a\*b`, "axb"},
		{`\`, `\`},
		{`*\\`, `x\`},
		{`\?*`, "?x"},
		{"caf?", "café"},
		{"/dev/*", "/dev/sdf"},
		{"*", ""},
		{"?", ""},
		{"a*b*c", "aXbbYc"},
		{"**?", "x"},
		{"", ""},
		{"*ab", "aab"},
		{"vol-?", "vol-"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			t.Skip("no parameter and no tag is such")
		}
		want := regexp.MustCompile(`(?s)\A` + expression(pattern) + `\z`).MatchString(s)
		if got := matches(pattern, s); got != want {
			t.Errorf("matches(%q, %q) is %v", pattern, s, got)
		}
	})
}

// expression returns the regular expression of a pattern.
func expression(pattern string) string {
	var b strings.Builder
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteString(".")
		case c == '\\' && i+1 < len(runes):
			i++
			b.WriteString(regexp.QuoteMeta(string(runes[i])))
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}

func FuzzPageToken(f *testing.F) {
	f.Add("dm9sdW1lOnZvbC0xYTJiM2M0ZA")
	f.Add("Zm9v")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		after, ok := volumePages.after(token)
		if !ok || after == "" {
			return
		}
		one := 1
		id := func(s string) string { return s }
		if _, next := cut(volumePages, page{MaxResults: &one}, []string{after, after + "x"}, id); next == "" {
			t.Fatalf("no token after %q", after)
		} else if again, ok := volumePages.after(next); !ok || again != after {
			t.Fatalf("%q became %q", after, again)
		}
	})
}
