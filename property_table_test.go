// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
)

func definition(t *testing.T, name string) mallee.PropertyDefinition {
	t.Helper()
	list := mallee.PropertyDefinitions()
	i := slices.IndexFunc(list, func(d mallee.PropertyDefinition) bool { return d.Name == "storage."+name })
	if i < 0 {
		t.Fatalf("there is no property storage.%s", name)
	}
	return list[i]
}

func TestPropertyDefinitions(t *testing.T) {
	list := mallee.PropertyDefinitions()
	if !slices.IsSortedFunc(list, func(a, b mallee.PropertyDefinition) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("they are not sorted by name")
	}
	for _, d := range list {
		if err := d.Check(d.Default); err != nil {
			t.Errorf("%s refuses its own default: %v", d.Name, err)
		}
		if d.Type == "" || d.Description == "" || d.Rule == "" || d.Reacts == "" {
			t.Errorf("%s: type, description, rule or who reacts is missing", d.Name)
		}
	}
}

func TestPropertyChecks(t *testing.T) {
	for name, test := range map[string]struct{ good, bad []string }{
		"ncpaths":                {[]string{"nopath", "10.107.1.200,iface0:[2001:db8::1]:3261,"}, []string{"", "10.0.0.1,;reboot", "10.0.0.1,,10.0.0.2"}},
		"scpaths":                {[]string{"nopath", "san1"}, []string{" ", "iface 0:san1"}},
		"sanhost":                {[]string{"", "10.109.1.25,sp-2.example:8775"}, []string{"10.109.1.300", "sp-1,sp-1:8775"}},
		"sanuser":                {[]string{"", "admin"}, []string{"ad min", "admin\n", strings.Repeat("a", 256)}},
		"sanpassword":            {[]string{"", "s3cret'\"$(x)", "*******"}, []string{"********", "s3cret\n", "s3 cret", "s\x00"}},
		"chapuser":               {[]string{"nouser", "mallee"}, []string{"", "NULLuser", "a b", "ü"}},
		"blockstoragemanager":    {[]string{"mallee"}, []string{"", "netapp", "Mallee"}},
		"resourceprefix":         {[]string{"", "prod_", "a.b-"}, []string{"-rf", ".", ".a", "a/b", "a b", strings.Repeat("a", 33)}},
		"resourcesuffix":         {[]string{"", "-old"}, []string{"a;b", strings.Repeat("a", 33)}},
		"maxvolumesizeingb":      {[]string{"1", "16384"}, []string{"", "0", "16385", "-1", "+5", "05", "1e3", "10.5"}},
		"maxtotalvolumesizeingb": {[]string{"1", "1073741824"}, []string{"", "0", "1073741825"}},
		"nopathtimeout":          {[]string{"1", "3600"}, []string{"0", "3601", "", "2m"}},
		"minpaths":               {[]string{"1", "32"}, []string{"0", "33", "", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := definition(t, name)
			for _, value := range test.good {
				if err := d.Check(value); err != nil {
					t.Errorf("%q is refused: %v", value, err)
				}
			}
			for _, value := range test.bad {
				err := d.Check(value)
				if err == nil {
					t.Errorf("%q is taken", value)
				} else if d.Hidden && value != "" && strings.Contains(err.Error(), value) {
					t.Errorf("the error shows the hidden value: %v", err)
				}
			}
		})
	}
}
