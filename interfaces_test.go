// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

func TestParseStorageInterfaces(t *testing.T) {
	both := map[string]string{"iface0": "br0", "iface1": "eth1"}
	for _, test := range []struct {
		name, text string
		want       map[string]string
		warnings   []string
	}{
		{"the original's line", `STORAGE_INTERFACES="iface0=br0,iface1=eth1"`, both, nil},
		{"among others", "# Where the storage is\nLOGLEVEL=\"DEBUG\"\nSTORAGE_INTERFACES=\"iface0=br0,iface1=eth1\"\n\nDISABLE_ISCSI=\"N\"\n", both, nil},
		{"line ends of Windows", "STORAGE_INTERFACES=\"iface0=br0,iface1=eth1\"\r\nX=1\r\n", both, nil},
		{"unquoted", "STORAGE_INTERFACES=iface0=br0,iface1=eth1\n", both, nil},
		{"single quotes", "STORAGE_INTERFACES='iface0=br0,iface1=eth1'\n", both, nil},
		{"indented", " \tSTORAGE_INTERFACES=\"iface0=br0,iface1=eth1\"\n", both, nil},
		{"blanks", "STORAGE_INTERFACES =\t\" iface0 = br0 ,  iface1= eth1 \"  \n", both, nil},
		{"blanks without quotes", "STORAGE_INTERFACES = iface0 = br0 , iface1 = eth1 \n", both, nil},
		{"comment", "STORAGE_INTERFACES=\"iface0=br0,iface1=eth1\" # \"front\" and 'back'\n", both, nil},
		{"comment at the quote", "STORAGE_INTERFACES='iface0=br0,iface1=eth1'# both\n", both, nil},
		{"comment without quotes", "STORAGE_INTERFACES=iface0=br0,iface1=eth1 # both\n", both, nil},
		{"empty entries", "STORAGE_INTERFACES=\",iface0=br0,,iface1=eth1, \"\n", both, nil},
		{"one device for two labels", `STORAGE_INTERFACES="a=eth0,b=eth0"`, map[string]string{"a": "eth0", "b": "eth0"}, nil},
		{"twice the same", `STORAGE_INTERFACES="a=eth0,a=eth0"`, map[string]string{"a": "eth0"}, nil},
		{"empty", "STORAGE_INTERFACES=\"\"\n", map[string]string{}, nil},
		{"nothing behind it", "STORAGE_INTERFACES=\n", map[string]string{}, nil},
		{"nothing but a comment", "STORAGE_INTERFACES= # none\n", map[string]string{}, nil},

		{"no file", "", nil, nil},
		{"commented out", "#STORAGE_INTERFACES=\"iface0=br0\"\n # STORAGE_INTERFACES=\"iface0=br0\"\n", nil, nil},
		{"another variable", "STORAGE_INTERFACES_OLD=\"iface0=br0\"\nOLD_STORAGE_INTERFACES=\"iface0=br0\"\nstorage_interfaces=\"iface0=br0\"\n", nil, nil},
		{"no assignment", "STORAGE_INTERFACES\n", nil, nil},

		{"two lines", "STORAGE_INTERFACES=\"iface0=eth7\"\n\nSTORAGE_INTERFACES=\"iface0=br0,iface1=eth1\"\n", both, []string{
			"line 3: it counts, not line 1, which says something else: leave one STORAGE_INTERFACES",
		}},
		{"two lines that say the same", "STORAGE_INTERFACES='iface1=eth1,iface0=br0'\nSTORAGE_INTERFACES=\"iface0=br0,iface1=eth1\"\n", both, nil},
		{"one taken back", "STORAGE_INTERFACES='iface0=br0'\nSTORAGE_INTERFACES=\n", map[string]string{}, []string{
			"line 2: it counts, not line 1, which says something else: leave one STORAGE_INTERFACES",
		}},

		{"a shell command as a label", `STORAGE_INTERFACES=";reboot=eth0,iface0=br0,iface1=eth1"`, both, []string{
			`line 1: ";reboot=eth0" is left out: the label ";reboot" breaks the rule: at most 64 of letters, digits, '_', '-' and '.'`,
		}},
		{"a shell command as a device", `STORAGE_INTERFACES="iface0=br0,iface2=$(reboot),iface1=eth1"`, both, []string{
			`line 1: "iface2=$(reboot)" is left out: "$(reboot)" is no name of a network device`,
		}},
		{"a path as a device", `STORAGE_INTERFACES="iface0=br0,x=../../x,iface1=eth1"`, both, []string{
			`line 1: "x=../../x" is left out: "../../x" is no name of a network device`,
		}},
		{"an option as a device", `STORAGE_INTERFACES="x=-h"`, map[string]string{}, []string{
			`line 1: "x=-h" is left out: "-h" is no name of a network device`,
		}},
		{"two devices", `STORAGE_INTERFACES="x=a=b"`, map[string]string{}, []string{`line 1: "x=a=b" is left out: "a=b" is no name of a network device`}},
		{"no device", `STORAGE_INTERFACES="iface0,iface1="`, map[string]string{}, []string{
			`line 1: "iface0" is left out: write LABEL=DEVICE`,
			`line 1: "iface1=" is left out: "" is no name of a network device`,
		}},
		{"a blank for a comma", `STORAGE_INTERFACES="iface0=br0 iface1=eth1"`, map[string]string{}, []string{
			`line 1: "iface0=br0 iface1=eth1" is left out: "br0 iface1=eth1" is no name of a network device`,
		}},
		{"a label twice", "\nSTORAGE_INTERFACES=\"iface0=eth0,iface1=eth1,iface0=br0\"", both, []string{
			`line 2: the label "iface0" is there twice: br0 counts, eth0 does not`,
		}},
		{"a label twice, once at fault", `STORAGE_INTERFACES="iface0=br0,iface1=eth1,iface0=/"`, both, []string{
			`line 1: "iface0=/" is left out: "/" is no name of a network device`,
		}},
		{"open quote", `STORAGE_INTERFACES="iface0=br0,iface1=eth1`, both, []string{"line 1: the quote is not closed"}},
		{"text behind the quote", `STORAGE_INTERFACES="iface0=br0,iface1=eth1";reboot`, both, []string{`line 1: ";reboot" after the closing quote is left out`}},
		{"control characters", "STORAGE_INTERFACES=\"a\x1b[2J=eth0\"", map[string]string{}, []string{
			`line 1: "a\x1b[2J=eth0" is left out: the label "a\x1b[2J" breaks the rule: at most 64 of letters, digits, '_', '-' and '.'`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			devices, warnings := mallee.ParseStorageInterfaces(test.text)
			if diff := cmp.Diff(test.want, devices); diff != "" {
				t.Errorf("devices (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got)\n%s", diff)
			}
		})
	}
}

// What is printed and parsed again is the same, and nothing unsafe is in it.
func FuzzParseStorageInterfaces(f *testing.F) {
	for _, seed := range []string{
		"", "\n\n", `STORAGE_INTERFACES="iface0=br0,iface1=eth1"`, "STORAGE_INTERFACES = 'a=b' # c\r\n", " STORAGE_INTERFACES=a = b , c=d #e", "#STORAGE_INTERFACES=a=b",
		"STORAGE_INTERFACES=a=b\nSTORAGE_INTERFACES=", "STORAGE_INTERFACES=\"a=b", "STORAGE_INTERFACES='a=b'c", `STORAGE_INTERFACES=";reboot=$(x),a=-h,b=..,a=c,a=d,=,,x"`,
		"STORAGE_INTERFACES=\x00=\xff,\u00a0a=b", "LOGLEVEL=1\nSTORAGE_INTERFACES=a=b#c\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		devices, warnings := mallee.ParseStorageInterfaces(text)
		for _, w := range warnings {
			checkPrintable(t, w)
		}
		var entries []string
		for _, label := range slices.Sorted(maps.Keys(devices)) {
			if !mallee.ValidLabel(label) || !mallee.ValidNetDevice(devices[label]) || unsafe(devices[label]) {
				t.Fatalf("%q gives the label %q the device %q", text, label, devices[label])
			}
			entries = append(entries, label+"="+devices[label])
		}
		printed := `STORAGE_INTERFACES="` + strings.Join(entries, ",") + `"`
		again, warnings := mallee.ParseStorageInterfaces(printed)
		if !maps.Equal(devices, again) || warnings != nil {
			t.Errorf("%q was printed as %q, which is %v, %q", text, printed, again, warnings)
		}
	})
}
