// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// What is read from YAML is what is read from JSON, whatever a tag or a message
// holds: "no" stays a word, "1.0" a string, "a: b" one value.
func TestYAMLSaysWhatJSONSays(t *testing.T) {
	text := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "no", "true", "null", "~", "1", "1.0", "0x1f", "2026-11-01", "a: b", "- a", "# a", "a\nb", " a", "\u2028", "\u0085", "😀", "\x00", "<a&b>", "=", "<<"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		value := map[string]any{
			"tags": rapid.MapOfN(text, text, 0, 5).Draw(t, "tags"),
			"list": rapid.SliceOfN(text, 0, 3).Draw(t, "list"),
			"size": rapid.Uint64Max(1<<53).Draw(t, "size"),
		}
		j, err := encodeJSON(value)
		if err != nil {
			t.Fatal(err)
		}
		y, err := encodeYAML(value)
		if err != nil {
			t.Fatal(err)
		}
		var fromJSON, fromYAML any
		if err := json.Unmarshal(j, &fromJSON); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(y, &fromYAML); err != nil {
			t.Fatalf("%v:\n%s", err, y)
		}
		again, err := json.Marshal(fromYAML)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(again, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(fromJSON, got); d != "" {
			t.Fatalf("(-JSON +YAML)\n%s\n%s", d, y)
		}
	})
}

// A page of a listing keeps the columns of the one before.
func TestColumnsOfPages(t *testing.T) {
	var c columns
	got := c.align([][]string{{"NAME", "SIZE", "NOTE"}, {"a", "", "x"}}) +
		c.align([][]string{{"b", "10", ""}}) +
		c.align([][]string{{"möhre", "1000000", "y"}})
	want := "NAME  SIZE  NOTE\n" +
		"a     -     x\n" +
		"b     10    -\n" +
		"möhre  1000000  y\n"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0B", 1023: "1023B", 1024: "1.0KiB", 1536: "1.5KiB", 1<<20 - 1: "1.0MiB", 1 << 30: "1.0GiB",
		16 << 40: "16.0TiB", math.MaxUint64: "16.0EiB",
	} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d bytes are %s, want %s", n, got, want)
		}
	}
}
