// SPDX-License-Identifier: Apache-2.0

package multipath

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixture returns what a multipathd answered to "show maps json": 0.9.4 is Debian
// 12's, 0.11.1 Debian 13's.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	reply, err := os.ReadFile(filepath.Join("testdata", "maps-"+name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestParseMaps(t *testing.T) {
	up := func(disk string) Path { return Path{Disk: disk, DM: "active", Checker: "ready", Device: "running"} }
	offline := func(disk string) Path { return Path{Disk: disk, DM: "failed", Checker: "faulty", Device: "offline"} }
	const first, second = "360014056d6c6c6500000001000000000", "360014056d6c6c6500000002000000000"
	for _, test := range []struct {
		name  string
		reply []byte
		want  []Map
	}{
		{"of multipathd 0.9.4", fixture(t, "0.9.4"), []Map{{
			WWID: "360014056d6c6c650123456789abcdef0", Name: "360014056d6c6c650123456789abcdef0", Device: "dm-0",
			Paths: []Path{up("sdc"), up("sdb"), up("sda"), up("sdd")},
		}}},
		{"of multipathd 0.9.4, a disk offline", fixture(t, "0.9.4-offline"), []Map{
			{WWID: first, Name: first, Device: "dm-0", Paths: []Path{up("sda"), offline("sdb")}},
			{WWID: second, Name: second, Device: "dm-1", Paths: []Path{up("sdc"), up("sdd")}},
		}},
		{"of multipathd 0.11.1, a disk offline, an alias of the admin's", fixture(t, "0.11.1"), []Map{
			{WWID: first, Name: first, Device: "dm-0", Paths: []Path{up("sda"), offline("sdb")}},
			{WWID: second, Name: "data", Device: "dm-1", Paths: []Path{up("sdd"), up("sdc")}},
		}},
		{"no map", []byte(`{"major_version": 0, "minor_version": 1, "maps": []}`), nil},
		{
			"map without a path", []byte(`{"maps": [{"name": "mpatha", "uuid": "3x", "sysfs": "dm-3", "path_groups": []}]}`),
			[]Map{{WWID: "3x", Name: "mpatha", Device: "dm-3"}},
		},
		{
			"a path in each of two groups", []byte(`{"maps": [{"uuid": "3x", "sysfs": "dm-3", "path_groups": [
			{"paths": [{"dev": "sda", "dm_st": "active", "chk_st": "ready", "dev_st": "running"}]},
			{"paths": [{"dev": "sdb", "dm_st": "failed", "chk_st": "faulty", "dev_st": "transport-offline"}]}]}]}`),
			[]Map{{WWID: "3x", Device: "dm-3", Paths: []Path{up("sda"), {Disk: "sdb", DM: "failed", Checker: "faulty", Device: "transport-offline"}}}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseMaps(test.reply)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	for _, reply := range []string{"", "fail\n", "timeout\n", `{"maps": [{`, `{"maps": 1}`} {
		if got, err := parseMaps([]byte(reply)); err == nil {
			t.Errorf("%q was read as %v", reply, got)
		}
	}
}

func TestPathIsUsable(t *testing.T) {
	for _, test := range []struct {
		dm, checker string
		want        bool
	}{
		{"active", "ready", true},
		{"active", "ghost", true},   // of a passive controller
		{"active", "undef", true},   // not yet checked
		{"active", "faulty", false}, // the kernel will learn it in a moment
		{"active", "i/o pending", false},
		{"failed", "ready", false}, // the kernel has not yet been told
		{"failed", "faulty", false},
		{"", "", false},
	} {
		t.Run(test.dm+" "+test.checker, func(t *testing.T) {
			if got := (Path{DM: test.dm, Checker: test.checker}).Usable(); got != test.want {
				t.Errorf("usable is %t, want %t", got, test.want)
			}
		})
	}
}

func FuzzParseMaps(f *testing.F) {
	for _, name := range []string{"0.9.4", "0.9.4-offline", "0.11.1"} {
		f.Add(fixture(f, name))
	}
	f.Add([]byte(`{"maps": [{"path_groups": [{"paths": [{}]}]}]}`))
	f.Add([]byte("fail\n"))
	f.Fuzz(func(t *testing.T, reply []byte) {
		maps, err := parseMaps(reply)
		if err != nil && maps != nil {
			t.Errorf("both maps and an error: %v, %v", maps, err)
		}
	})
}
