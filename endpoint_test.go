// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

func TestParseHosts(t *testing.T) {
	for _, test := range []struct {
		name  string
		value string
		want  []string
	}{
		{"none yet", "", nil},
		{"blanks alone", " \t", nil},
		{"the admin's order", "10.109.1.27,10.109.1.26", []string{"10.109.1.27:8775", "10.109.1.26:8775"}},
		{"own port", "10.109.1.26:9000, [2001:db8::1]:9000", []string{"10.109.1.26:9000", "[2001:db8::1]:9000"}},
		{"names", "san1,san1.example.com:9000,", []string{"san1:8775", "san1.example.com:9000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			hosts, err := mallee.ParseHosts(test.value, 8775)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range hosts {
				got = append(got, h.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseHostsTellsWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"empty element", "10.109.1.26,,10.109.1.27", `element 2 (at character 13), "": it is empty`},
		{"a label", "iface0:10.109.1.26", `element 1 (at character 1), "iface0:10.109.1.26": "10.109.1.26" is no port`},
		{"nopath", "nopath", "no host"},
		{"twice", "san1,SAN1:8775", "it is element 1 again"},
		{"link-local", "[fe80::1]", "needs a zone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mallee.ParseHosts(test.value, 8775)
			if _, ok := errors.AsType[*mallee.ListError](err); !ok || !strings.Contains(err.Error(), test.want) || got != nil {
				t.Errorf("got %v, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestParseAddrsTakesNoName(t *testing.T) {
	if _, err := mallee.ParseAddrs("10.107.1.200,san1", 3260); err == nil || !strings.Contains(err.Error(), `element 2, "san1", must be an address`) {
		t.Errorf("got %v", err)
	}
	if got, err := mallee.ParseAddrs("10.107.1.200,[2001:db8::1]:860", 3260); err != nil || len(got) != 2 || got[1].String() != "[2001:db8::1]:860" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestValidNetDevice(t *testing.T) {
	for name, want := range map[string]bool{
		"eth0": true, "br0": true, "bond0.107": true, "enp3s0f1_2-x": true, "fifteen-letters": true,
		"": false, ".": false, "..": false, "-h": false, "_x": false, "eth0:1": false, "a/b": false, "eth 0": false, "eth0\n": false, "sixteen-letters-": false, "é": false,
	} {
		if got := mallee.ValidNetDevice(name); got != want {
			t.Errorf("%q: %t, want %t", name, got, want)
		}
	}
}

func FuzzParseHosts(f *testing.F) {
	for _, seed := range []string{"", " ", ",", "san1", "san1:9000, san2", "10.109.1.26,10.109.1.27:1", "[2001:db8::1]", "[fe80::1%eth0]:1", "[fe80::1]", "::1", "a:b", "nopath", "0.0.0.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		hosts, err := mallee.ParseHosts(value, 8775)
		if err != nil {
			checkPrintable(t, err.Error())
			return
		}
		var texts []string
		for _, h := range hosts {
			checkEndpoint(t, value, h)
			texts = append(texts, h.String())
		}
		again, err := mallee.ParseHosts(strings.Join(texts, ","), 1)
		if err != nil || !reflect.DeepEqual(hosts, again) {
			t.Errorf("%q was printed as %q, which is %v, %v", value, texts, again, err)
		}
	})
}
