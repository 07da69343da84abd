// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
)

func TestParsePaths(t *testing.T) {
	for _, test := range []struct {
		name  string
		value string
		want  []string // LABEL|HOST:PORT
	}{
		{"one", "10.107.1.200", []string{"|10.107.1.200:3260"}},
		{"the admin's order", "10.108.1.201,10.107.1.200", []string{"|10.108.1.201:3260", "|10.107.1.200:3260"}},
		{"blanks", " 10.107.1.200 ,\t10.108.1.200\n", []string{"|10.107.1.200:3260", "|10.108.1.200:3260"}},
		{"comma at the end", "10.107.1.200,", []string{"|10.107.1.200:3260"}},
		{"ports", "10.107.1.200:3261,10.107.1.200", []string{"|10.107.1.200:3261", "|10.107.1.200:3260"}},
		{"IPv6", "[2001:db8::2],[2001:db8::3]:860", []string{"|[2001:db8::2]:3260", "|[2001:db8::3]:860"}},
		{"IPv4 in IPv6 is IPv4", "[::ffff:10.107.1.200]", []string{"|10.107.1.200:3260"}},
		{"zone", "[fe80::1%eth0]", []string{"|[fe80::1%eth0]:3260"}},
		{"names", "san1,san1.example.com:860", []string{"|san1:3260", "|san1.example.com:860"}},
		{"labels", "iface0:10.107.1.200,iface1:san1,iface1:san1:860,3:[fe80::1]", []string{
			"iface0|10.107.1.200:3260", "iface1|san1:3260", "iface1|san1:860", "3|[fe80::1]:3260",
		}},
		{"a label applies to its own element only", "iface0:10.107.1.200,10.107.1.201", []string{"iface0|10.107.1.200:3260", "|10.107.1.201:3260"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mallee.ParsePaths(test.value)
			if err != nil {
				t.Fatal(err)
			}
			var list []string
			for _, s := range got.List {
				list = append(list, s.Label+"|"+s.String())
			}
			if strings.Join(list, " ") != strings.Join(test.want, " ") {
				t.Errorf("got %q, want %q", list, test.want)
			}
		})
	}
}

func TestParsePathsTellsWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"empty element", "10.107.1.200,,10.108.1.200", `element 2 (at character 14), "": it is empty`},
		{"nopath in a list", "10.107.1.200, nopath", `element 2 (at character 15), "nopath"`},
		{"port 0", "10.107.1.200:0", `"0" is no port`},
		{"name and port too high", "san1:65536", `"65536" is no port`},
		{"twice", "10.107.1.200,10.107.1.200:3260", `element 2 (at character 14), "10.107.1.200:3260": it is element 1 again`},
		{"shell", ";reboot:10.107.1.200", `the label ";reboot"`},
		{"bare IPv6", "2001:db8::1", "in brackets: [2001:db8::1]"},
		{"path in a zone", "[fe80::1%../../x]", "the zone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mallee.ParsePaths(test.value)
			if _, ok := errors.AsType[*mallee.ListError](err); !ok || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v, want %q", got, err, test.want)
			}
		})
	}
}
