// SPDX-License-Identifier: Apache-2.0

package multipath

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixture returns what multipathd 0.9.4 (Debian 12) answered to "show maps json"
// for a volume with four paths.
func fixture(t testing.TB) []byte {
	t.Helper()
	reply, err := os.ReadFile(filepath.Join("testdata", "maps-0.9.4.json"))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestParseMaps(t *testing.T) {
	up := func(disk string) Path { return Path{Disk: disk, DM: "active", Checker: "ready", Device: "running"} }
	for _, test := range []struct {
		name  string
		reply []byte
		want  []Map
	}{
		{"of multipathd 0.9.4", fixture(t), []Map{{
			WWID: "360014056d6c6c650123456789abcdef0", Name: "360014056d6c6c650123456789abcdef0", Device: "dm-0",
			Paths: []Path{up("sdc"), up("sdb"), up("sda"), up("sdd")},
		}}},
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
	f.Add(fixture(f))
	f.Add([]byte(`{"maps": [{"path_groups": [{"paths": [{}]}]}]}`))
	f.Add([]byte("fail\n"))
	f.Fuzz(func(t *testing.T, reply []byte) {
		maps, err := parseMaps(reply)
		if err != nil && maps != nil {
			t.Errorf("both maps and an error: %v, %v", maps, err)
		}
	})
}
