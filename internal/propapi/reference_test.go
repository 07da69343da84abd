// SPDX-License-Identifier: Apache-2.0

package propapi

import (
	_ "embed"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

const reference = "../../docs/reference/properties.md"

//go:embed testdata/head.md
var referenceHead string

//go:embed testdata/wire.md
var referenceWire string

// The page is made from the table of properties and from the actions, and held to
// them. UPDATE_SCRIPTS=1 go test ./internal/propapi writes it.
func TestReference(t *testing.T) {
	var page strings.Builder
	page.WriteString(referenceHead)
	for _, d := range mallee.PropertyDefinitions() {
		describeProperty(&page, d)
	}
	page.WriteString(strings.Replace(referenceWire, "{actions}\n", actionTable(t), 1))
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(reference, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), page.String()); d != "" {
		t.Errorf("the page is not what the properties are: UPDATE_SCRIPTS=1 go test ./internal/propapi (-page +table)\n%s", d)
	}
}

func describeProperty(page *strings.Builder, d mallee.PropertyDefinition) {
	fallback := "empty"
	if d.Default != "" {
		fallback = "`" + d.Default + "`"
	}
	kind := string(d.Type)
	if d.Hidden {
		kind += ", hidden"
	}
	fmt.Fprintf(page, "\n### %s\n\n> %s\n\n| | |\n|---|---|\n| type | %s |\n| default | %s |\n| value | %s |\n| who reacts | %s |\n",
		d.Name, d.Description, kind, fallback, d.Rule, d.Reacts)
}

// theirs is how many actions the original had; they are the first.
const theirs = 2

// ours are the parameters that the original's actions did not have.
var ours = []string{"Force", "IfValue"}

func actionTable(t *testing.T) string {
	var table strings.Builder
	inputs := map[string]any{
		"DescribeProperties": describePropertiesIn{}, "ModifyPropertyValue": modifyPropertyValueIn{}, "ModifyPropertyValues": modifyPropertyValuesIn{},
		"DescribePropertyHistory": describePropertyHistoryIn{}, "DescribePathReach": describePathReachIn{},
	}
	table.WriteString("| action | whose | parameters |\n|---|---|---|\n")
	for i, a := range (api{}).actions() {
		in, known := inputs[a.Name]
		if !known {
			t.Errorf("the page does not know the action %s", a.Name)
			continue
		}
		whose := "the original's"
		parameters := parametersOf("", reflect.TypeOf(in))
		if i >= theirs {
			whose = "ours"
		} else {
			for i, p := range parameters {
				if slices.Contains(ours, p) {
					parameters[i] += "` (ours)"
				}
			}
		}
		list := strings.ReplaceAll("`"+strings.Join(parameters, "`, `")+"`", ")`", ")")
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", a.Name, whose, list)
	}
	return table.String()
}

// parametersOf returns the names of the parameters that a struct takes.
func parametersOf(prefix string, in reflect.Type) []string {
	var list []string
	for field := range in.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("query"), ",")
		switch slice := field.Type.Kind() == reflect.Slice; {
		case field.Anonymous:
			list = append(list, parametersOf(prefix, field.Type)...)
		case slice && field.Type.Elem().Kind() == reflect.Struct:
			list = append(list, parametersOf(prefix+name+".N.", field.Type.Elem())...)
		case slice:
			list = append(list, prefix+name+".N")
		default:
			list = append(list, prefix+name)
		}
	}
	return list
}
