// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

// elements are as many different ones as a list is to have.
func elements(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("10.107.1.%d", i+1))
	}
	return strings.Join(list, ",")
}

func TestParsePaths(t *testing.T) {
	longLabel := strings.Repeat("a", 64)
	longName := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61) + "."
	for _, test := range []struct {
		name  string
		value string
		want  []string // LABEL|HOST:PORT
	}{
		{"one", "10.107.1.200", []string{"|10.107.1.200:3260"}},
		{"the admin's order", "10.108.1.201,10.107.1.200", []string{"|10.108.1.201:3260", "|10.107.1.200:3260"}},
		{"blanks", " 10.107.1.200 ,\t10.108.1.200\n", []string{"|10.107.1.200:3260", "|10.108.1.200:3260"}},
		{"comma at the end", "10.107.1.200,", []string{"|10.107.1.200:3260"}},
		{"comma and blanks at the end", "10.107.1.200 , ", []string{"|10.107.1.200:3260"}},
		{"ports", "10.107.1.200:3261,10.107.1.200", []string{"|10.107.1.200:3261", "|10.107.1.200:3260"}},
		{"first and last port", "san1:1,san1:65535", []string{"|san1:1", "|san1:65535"}},
		{"IPv6", "[2001:db8::2],[2001:db8::3]:860", []string{"|[2001:db8::2]:3260", "|[2001:db8::3]:860"}},
		{"IPv4 in IPv6 is IPv4", "[::ffff:10.107.1.200]", []string{"|10.107.1.200:3260"}},
		{"zone", "[fe80::1%eth0]", []string{"|[fe80::1%eth0]:3260"}},
		{"zones have case", "[fe80::1%eth0],[fe80::1%ETH0]", []string{"|[fe80::1%eth0]:3260", "|[fe80::1%ETH0]:3260"}},
		{"link-local IPv4 is routed", "169.254.1.1", []string{"|169.254.1.1:3260"}},
		{"names", "san1,san1.example.com:860,localhost", []string{"|san1:3260", "|san1.example.com:860", "|localhost:3260"}},
		{"names that begin like numbers", "3par,10.107.1.200.example.com,1e6", []string{"|3par:3260", "|10.107.1.200.example.com:3260", "|1e6:3260"}},
		{"absolute names may be others", "san1,san1.", []string{"|san1:3260", "|san1.:3260"}},
		{"labels", "iface0:10.107.1.200,iface1:san1,iface1:san1:860,3:[fe80::1]", []string{
			"iface0|10.107.1.200:3260", "iface1|san1:3260", "iface1|san1:860", "3|[fe80::1]:3260",
		}},
		{"labels have case", "a:san1,A:san1", []string{"a|san1:3260", "A|san1:3260"}},
		{"a label of any allowed character", "_-.aZ9:san1", []string{"_-.aZ9|san1:3260"}},
		{"a label applies to its own element only", "iface0:10.107.1.200,10.107.1.201", []string{"iface0|10.107.1.200:3260", "|10.107.1.201:3260"}},
		{"digits after a name are a port", "iface0:860", []string{"|iface0:860"}},
		{"digits before an address are a label", "107:10.107.1.200", []string{"107|10.107.1.200:3260"}},
		{"a label that is nearly an address", "10.107.1:10.107.1.200", []string{"10.107.1|10.107.1.200:3260"}},
		{"addresses that begin alike", "10.107.1.2,10.107.1.20", []string{"|10.107.1.2:3260", "|10.107.1.20:3260"}},
		{"the longest", longLabel + ":" + longName + ":65535", []string{longLabel + "|" + longName + ":65535"}},
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
			if diff := cmp.Diff(test.want, list); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPathsArePrintedAsTheyWereWritten(t *testing.T) {
	for value, want := range map[string]string{
		"nopath":    "nopath",
		" nopath\n": "nopath",
		" SAN1.Example.com ,\t[2001:DB8:0::1]:3260, iface1:10.107.1.200,": "SAN1.Example.com,[2001:DB8:0::1]:3260,iface1:10.107.1.200",
		elements(mallee.MaxPaths) + ",":                                   elements(mallee.MaxPaths),
	} {
		if got, err := mallee.ParsePaths(value); got.String() != want {
			t.Errorf("%q is printed as %q, want %q (%v)", value, got, want, err)
		}
	}
}

func TestParsePathsTellsWhatIsWrong(t *testing.T) {
	const noName = "is neither an address nor a host name"
	for _, test := range []struct{ name, value, want string }{
		{"empty element", "10.107.1.200,,10.108.1.200", `element 2 (at character 14), "": it is empty`},
		{"empty first element", ",10.107.1.200", `element 1 (at character 1), "": it is empty`},
		{"two commas at the end", "10.107.1.200,,", `element 2 (at character 14), "": it is empty`},
		{"a comma alone", ",", `element 1 (at character 1), "": it is empty`},
		{"place in characters", "\u00a0san1,\u00a0-", `element 2 (at character 8), "-": "-" ` + noName},
		{"nopath in a list", "10.107.1.200, nopath", `element 2 (at character 15), "nopath": nopath is a value of its own`},
		{"nopath in capitals", "NoPath", `element 1 (at character 1), "NoPath": nopath is a value of its own, in lower case`},
		{"nopath over a device", "iface0:nopath", "nopath is a value of its own"},
		{"a blank for a comma", "10.107.1.200 10.107.1.201", `"10.107.1.200 10.107.1.201" ` + noName},
		{"a semicolon for a comma", "10.107.1.200;10.107.1.201", noName},

		{"port 0", "10.107.1.200:0", `"0" is no port: it must be a number from 1 to 65535`},
		{"port of a name too high", "san1:65536", `"65536" is no port`},
		{"port that begins with 0", "san1:03260", `"03260" is no port`},
		{"port that is none", "10.107.1.200:iscsi", `"iscsi" is no port`},
		{"no port after an address", "10.107.1.200:", `"" is no port`},
		{"no port after a label", "iface0:10.107.1.200:", `"" is no port`},
		{"two ports", "10.107.1.200:3260:3260", `"3260:3260" is no port`},
		{"two labels", "iface0:iface1:10.107.1.200", `"10.107.1.200" is no port`},
		{"port after nothing", "[2001:db8::1]:", `"" is no port`},

		{"twice", "10.107.1.200,10.107.1.200:3260", `element 2 (at character 14), "10.107.1.200:3260": it is element 1 again`},
		{"twice in two families", "10.107.1.200,san1,[::ffff:10.107.1.200]", "it is element 1 again"},
		{"twice in two cases", "san1,SAN1:3260", "it is element 1 again"},
		{"twice in two spellings", "[2001:db8::1],[2001:DB8:0:0::1]:3260", "it is element 1 again"},
		{"twice with one label", "a:san1,b:san1,a:san1", "it is element 1 again"},

		{"nothing behind a label", "iface0:", "nothing follows the colon"},
		{"nothing before the colon", ":10.107.1.200", "the label before the colon is empty"},
		{"a colon alone", ":", "nothing follows the colon"},
		{"a shell command as a label", ";reboot:10.107.1.200", `the label ";reboot" breaks the rule: at most 64 of letters, digits, '_', '-' and '.'`},
		{"a command substitution", "$(reboot):10.107.1.200", `the label "$(reboot)"`},
		{"a path as a label", "../../x:10.107.1.200", `the label "../../x"`},
		{"a label with blanks", "iface0 : 10.107.1.200", `the label "iface0 "`},
		{"a label that is too long", strings.Repeat("a", 65) + ":san1", "breaks the rule: at most 64"},

		{"bare IPv6", "2001:db8::1", `in brackets: "[2001:db8::1]"`},
		{"bare IPv6 behind a label", "iface0:2001:db8::1", `in brackets: "[2001:db8::1]"`},
		{"IPv4 in brackets", "[10.107.1.200]", "only an IPv6 address stands in brackets"},
		{"name in brackets", "[san1]", `"san1" is no IPv6 address`},
		{"nothing in brackets", "[]", `"" is no IPv6 address`},
		{"open bracket", "[2001:db8::1", "the bracket is not closed"},
		{"behind the bracket", "[2001:db8::1]3260", "only a colon and a port may follow the bracket"},
		{"a label in front without colon", "iface0[2001:db8::1]", `"iface0[2001"`},
		{"a network", "10.107.1.0/24", noName},

		{"path in a zone", "[fe80::1%../../x]", `the zone "../../x" is no name of a network device`},
		{"line feed in a zone", "[fe80::1%a\nb]", `the zone "a\nb"`},
		{"option in a zone", "[fe80::1%-h]", `the zone "-h"`},
		{"zone of a global address", "[2001:db8::1%eth0]", "2001:db8::1: only a link-local IPv6 address has a zone"},
		{"zone of an IPv4 address", "[::ffff:169.254.1.1%eth0]", "only a link-local IPv6 address has a zone"},
		{"link-local without a device", "[fe80::1]", `the link-local address fe80::1 needs a zone, [fe80::1%eth1], or a label`},
		{"link-local with two", "iface0:[fe80::1%eth0]", `the label "iface0" and the zone "eth0" both choose the device`},
		{"nobody's address", "0.0.0.0", "0.0.0.0 is not the address of one host"},
		{"nobody's IPv6 address", "[::]", ":: is not the address of one host"},
		{"nobody's address in IPv6", "[::ffff:0.0.0.0]", "is not the address of one host"},
		{"everybody's address", "255.255.255.255", "is not the address of one host"},
		{"multicast", "224.0.0.1,[ff02::1]", "224.0.0.1 is not the address of one host"},

		{"three parts of an address", "10.107.1", `"10.107.1" ` + noName},
		{"part too high", "10.107.1.256", `"10.107.1.256" ` + noName},
		{"part with a zero", "10.107.1.020", noName},
		{"five parts", "10.107.1.200.1", noName},
		{"a number", "176882120", noName},
		{"a hexadecimal number", "0x0a6b01c8", noName},
		{"a dot too many", "10.107.1.200.", noName},
		{"two dots", "san1..example.com", noName},
		{"dash at the end", "san1-", noName},
		{"option", "--help", noName},
		{"underscore", "san_1", noName},
		{"not ASCII", "sän1", noName},
		{"NUL", "san1\x00", `"san1\x00" ` + noName},
		{"part of a name too long", strings.Repeat("a", 64), noName},
		{"name too long", strings.Repeat("a.", 126) + "bc", noName},
		{"element too long", "san1,\t" + strings.Repeat("x", 5000), `element 2 (at character 7), "` + strings.Repeat("x", 80) + `"…: it has 5000 characters`},
		{"too many", elements(mallee.MaxPaths + 1), `element 33 (at character 376), "10.107.1.33": a list may have 32 elements, and this one has 33`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mallee.ParsePaths(test.value)
			if _, ok := errors.AsType[*mallee.ListError](err); !ok || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v, want %q", got, err, test.want)
			}
			if !reflect.DeepEqual(got, mallee.Paths{}) {
				t.Errorf("beside the error there is %v", got)
			}
		})
	}
	for _, value := range []string{"", " \n"} {
		if _, err := mallee.ParsePaths(value); err == nil || !strings.Contains(err.Error(), "the list is empty: write nopath or at least one host") {
			t.Errorf("%q: got %v", value, err)
		}
	}
}

// unsafe is what can be no part of a file's name, of an argument, or of a line of
// a log.
func unsafe(s string) bool {
	return strings.HasPrefix(s, "-") || strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-:", r) || r > unicode.MaxASCII
	})
}

// checkEndpoint fails when a host is neither or both of address and name, or unsafe.
func checkEndpoint(t *testing.T, value string, e mallee.Endpoint) {
	t.Helper()
	if e.Port == 0 || e.Addr.IsValid() == (e.Name != "") {
		t.Fatalf("%q: %+v is no host", value, e)
	}
	if unsafe(e.Name) || unsafe(e.Addr.WithZone("").String()) && e.Addr.IsValid() || unsafe(e.Addr.Zone()) {
		t.Fatalf("%q: %q is unsafe", value, e)
	}
}

// checkPrintable fails when an error would break a log's or a terminal's line.
func checkPrintable(t *testing.T, text string) {
	t.Helper()
	if len(text) > 3000 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Fatalf("%q is no line for a person", text)
	}
}

// A list that is printed and parsed again is the same list, and nothing unsafe is
// in it.
func FuzzParsePaths(f *testing.F) {
	for _, seed := range []string{
		"nopath", " nopath ", "NOPATH", "", ",", "a,", "a,,b", "10.107.1.200", "10.107.1.200:3261, 10.108.1.200", "a:1", "a:b", "a:b:1", "a:b:c", "1:2:3",
		"[2001:db8::1]:3260", "[2001:db8::1]", "2001:db8::1", "a:[2001:db8::1]:1", "[::ffff:1.2.3.4]", "[::ffff:1.2.3.4%eth0]", "fe80::1%eth0", "[fe80::1%eth0]", "a:[fe80::1]",
		"[fe80::1%a]b]:1", "[fe80::1%\n]", "[::]", "1.2.3.4:0", "[1.2.3.4]", ";reboot:10.107.1.200", "san1,SAN1", "san1.,san1", "1.2.3.4.", "0x7f.1", "iface0:10.1.1.1,10.1.1.1",
		"\u00a0a\u2003,\u0085b", "a\xff:b", elements(mallee.MaxPaths), elements(mallee.MaxPaths + 1), strings.Repeat("a", 400),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		paths, err := mallee.ParsePaths(value)
		if err != nil {
			checkPrintable(t, err.Error())
			return
		}
		if paths.Any == (len(paths.List) > 0) || len(paths.List) > mallee.MaxPaths {
			t.Fatalf("%q is both every portal and a list, or neither: %+v", value, paths)
		}
		for _, s := range paths.List {
			checkEndpoint(t, value, s.Endpoint)
			if s.Label != "" && !mallee.ValidLabel(s.Label) || !strings.Contains(value, s.Text) {
				t.Fatalf("%q: %+v is no element", value, s)
			}
		}
		again, err := mallee.ParsePaths(paths.String())
		if err != nil || !reflect.DeepEqual(paths, again) || again.String() != paths.String() {
			t.Errorf("%q was printed as %q, which is %+v, %v", value, paths, again, err)
		}
	})
}
