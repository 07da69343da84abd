// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

// compareAddr lets cmp look at netip's types, which have no exported fields.
var compareAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func addrs(list ...string) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, s := range list {
		addrs = append(addrs, netip.MustParseAddrPort(s))
	}
	return addrs
}

func TestParsePaths(t *testing.T) {
	for _, test := range []struct {
		name  string
		value string
		want  mallee.Paths
	}{
		{"nopath", "nopath", mallee.Paths{Any: true}},
		{"nopath with blanks", " nopath ", mallee.Paths{Any: true}},
		{"one", "10.107.1.200", mallee.Paths{List: addrs("10.107.1.200:3260")}},
		{"the admin's order", "10.108.1.201,10.107.1.200", mallee.Paths{List: addrs("10.108.1.201:3260", "10.107.1.200:3260")}},
		{"blanks", " 10.107.1.200 ,\t10.108.1.200 ", mallee.Paths{List: addrs("10.107.1.200:3260", "10.108.1.200:3260")}},
		{"ports", "10.107.1.200:3261,10.107.1.200", mallee.Paths{List: addrs("10.107.1.200:3261", "10.107.1.200:3260")}},
		{"IPv6", "2001:db8::1,[2001:db8::2],[2001:db8::3]:860", mallee.Paths{List: addrs("[2001:db8::1]:3260", "[2001:db8::2]:3260", "[2001:db8::3]:860")}},
		{"IPv4 in IPv6 is IPv4", "::ffff:10.107.1.200", mallee.Paths{List: addrs("10.107.1.200:3260")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mallee.ParsePaths(test.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, compareAddr); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParsePathsTellsWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name  string
		value string
		want  string // in the error
	}{
		{"empty", "", "element 1"},
		{"empty element", "10.107.1.200,,10.108.1.200", "element 2"},
		{"comma at the end", "10.107.1.200,", "element 2"},
		{"word", "10.107.1.200,nopath", `element 2, "nopath"`},
		{"name", "san.example.com", `"san.example.com"`},
		{"port 0", "10.107.1.200:0", `"10.107.1.200:0"`},
		{"port too high", "10.107.1.200:65536", `"10.107.1.200:65536"`},
		{"twice", "10.107.1.200,10.107.1.200:3260", "element 2, \"10.107.1.200:3260\", is there twice"},
		{"twice in two spellings", "10.107.1.200,::ffff:10.107.1.200", "is there twice"},
		{"blanks instead of commas", "10.107.1.200 10.108.1.200", "no address"},
		{"zone", "fe80::1%eth0", "no address"},
		{"path in a zone", "fe80::1%../../x", "no address"},
		{"zone in brackets", "[fe80::1%eth0]:3260", "no address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mallee.ParsePaths(test.value)
			if err == nil {
				t.Fatalf("%q was taken as %v", test.value, got)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not tell %q", err, test.want)
			}
		})
	}
}

func TestParseHosts(t *testing.T) {
	const port = 8773
	for _, test := range []struct {
		name  string
		value string
		want  []netip.AddrPort
		fails bool
	}{
		{name: "none yet", value: ""},
		{name: "blanks alone", value: "  "},
		{name: "two", value: "10.109.1.200,10.109.1.201", want: addrs("10.109.1.200:8773", "10.109.1.201:8773")},
		{name: "own port", value: "10.109.1.200:9000", want: addrs("10.109.1.200:9000")},
		{name: "nopath is no host", value: "nopath", fails: true},
		{name: "empty element", value: "10.109.1.200,", fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mallee.ParseHosts(test.value, port)
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %t", err, test.fails)
			}
			if diff := cmp.Diff(test.want, got, compareAddr); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A list that is printed and parsed again is the same list, and no address holds
// what could not be part of a file's name.
func FuzzParsePaths(f *testing.F) {
	for _, seed := range []string{
		"nopath", "", ",", "10.107.1.200", "10.107.1.200:3261, 10.108.1.200", "[2001:db8::1]:3260",
		"[2001:db8::1]", "::ffff:1.2.3.4", "fe80::1%eth0", "[fe80::1%a]b]:1", "[::]", "1.2.3.4:0", "[1.2.3.4]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		paths, err := mallee.ParsePaths(value)
		if err != nil {
			return
		}
		if paths.Any == (len(paths.List) > 0) {
			t.Fatalf("%q is both every portal and a list, or neither: %+v", value, paths)
		}
		printed := mallee.NoPath
		if !paths.Any {
			var list []string
			for _, a := range paths.List {
				if !a.IsValid() || a.Port() == 0 || strings.ContainsAny(a.String(), "/%\n ") {
					t.Fatalf("%q: %q is no portal", value, a)
				}
				list = append(list, a.String())
			}
			printed = strings.Join(list, ",")
		}
		again, err := mallee.ParsePaths(printed)
		if err != nil {
			t.Fatalf("%q was printed as %q: %v", value, printed, err)
		}
		if diff := cmp.Diff(paths, again, compareAddr); diff != "" {
			t.Errorf("%q was printed as %q (-first +again)\n%s", value, printed, diff)
		}
	})
}
