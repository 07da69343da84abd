// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
)

func TestCheckTag(t *testing.T) {
	for name, c := range map[string]struct {
		key, value string
		refused    string // what the error tells; empty when the tag is good
	}{
		"plain":                   {"Name", "data 1", ""},
		"empty value":             {"Name", "", ""},
		"what XML has to escape":  {"<a>&\"'", "]]>", ""},
		"longest":                 {strings.Repeat("é", 128), strings.Repeat("é", 256), ""},
		"no key":                  {"", "x", "empty"},
		"long key":                {strings.Repeat("é", 129), "", "128 characters"},
		"long value":              {"k", strings.Repeat("é", 257), "256 characters"},
		"reserved":                {"aws:cloudformation", "", "reserved"},
		"reserved, in upper case": {"AWS:x", "", "reserved"},
		"reserved only in front":  {"my-aws:x", "", ""},
		"control character":       {"k", "a\x00b", "control"},
		"line feed":               {"k\n", "", "control"},
		"noncharacter":            {"k", "\uFFFE", "control"},
		"invalid UTF-8":           {"k", "\xff", "control"},
	} {
		t.Run(name, func(t *testing.T) {
			err := mallee.CheckTag(c.key, c.value)
			if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("got %v, want %q", err, c.refused)
			}
		})
	}
}
