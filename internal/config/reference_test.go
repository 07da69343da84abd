// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// TestTheReferenceHasEachKeyAndNoOther holds docs/reference/configuration.md to the
// program.
func TestTheReferenceHasEachKeyAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range regexp.MustCompile(`(?m)^\| (`+"`[^|]*`"+`) \|`).FindAllStringSubmatch(string(page), -1) {
		for _, key := range regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(row[1], -1) {
			told = append(told, key[1])
		}
	}
	var known []string
	for section := range reflect.TypeFor[Config]().Fields() {
		if section.Type.Kind() != reflect.Struct {
			continue
		}
		for key := range section.Type.Fields() {
			known = append(known, section.Tag.Get("toml")+"."+key.Tag.Get("toml"))
		}
	}
	for _, key := range known {
		if !slices.Contains(told, key) {
			t.Errorf("%s is not in the reference", key)
		}
	}
	for _, key := range told {
		if !slices.Contains(known, key) {
			t.Errorf("the reference has %s, which no section knows", key)
		}
	}
}
