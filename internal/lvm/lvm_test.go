// SPDX-License-Identifier: Apache-2.0

package lvm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/command"
)

// lvmSaying returns a pool whose lvm tools print a captured output, and the
// file in which they note how they were called.
func lvmSaying(t *testing.T, stdout, stderr string, code string) (*Pool, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"stdout": stdout, "stderr": stderr} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	calls := filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"${0##*/} $*\" >>" + calls + "\ncat " + dir + "/stdout\ncat " + dir + "/stderr >&2\nexit " + code + "\n"
	for _, tool := range []string{"lvs", "lvcreate", "lvremove", "lvchange", "lvextend"} {
		if err := os.WriteFile(filepath.Join(dir, tool), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p, err := New(Options{Group: "mallee", Pool: "pool", Run: command.Runner{Path: []string{dir, "/usr/bin", "/bin"}}})
	if err != nil {
		t.Fatal(err)
	}
	return p, calls
}

func captured(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestContentsListsOursOnly(t *testing.T) {
	// The captured group has an admin's thin volume in the same pool, and a linear volume.
	for name, active := range map[string]bool{"lvs_active.json": true, "lvs_inactive.json": false} {
		t.Run(name, func(t *testing.T) {
			output := captured(t, name)
			if active {
				output = strings.Replace(output, `"data_percent":"15.53"`, `"data_percent":"15.53", "metadata_percent":"12.50", "lv_metadata_size":"4194304", "lv_health_status":"out_of_data"`, 1)
			}
			p, _ := lvmSaying(t, output, "", "0")
			got, err := p.Contents(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := Contents{SizeBytes: 2025848832, Volumes: []Volume{
				{ID: "vol-0123456789abcdef0", Name: "vol-0123456789abcdef0", SizeBytes: 1 << 30, Active: active},
				{ID: "vol-1a2b3c4d", Name: "vol-1a2b3c4d", SizeBytes: 1 << 30, Active: active},
			}}
			if active { // An inactive pool does not tell how full it is.
				want.FreeBytes = 1711234509 // 15.53 % used
				want.MetadataSizeBytes, want.MetadataFreeBytes = 4194304, 3670016
				want.Health = "out_of_data"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrorsTellWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, stderr string
		want         error
	}{
		{"no such volume", `  Failed to find logical volume "mallee/vol-aaaaaaaa"`, ErrNotFound},
		{"no such group", "  Volume group \"nope\" not found\n  Cannot process volume group nope", ErrNotFound},
		{"volume exists", `  Logical Volume "vol-1a2b3c4d" already exists in volume group "mallee"`, ErrExists},
		{"pool exists", `  Logical volume pool already exists in Volume group mallee.`, ErrExists},
		{"device open", `  Logical volume mallee/vol-1a2b3c4d in use.`, ErrInUse},
		{"no room", `  Volume group "mallee" has insufficient free space (28 extents): 25600 required.`, ErrNoRoom},
		{"words unknown", `  Something else.`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := lvmSaying(t, "", tt.stderr, "5")
			err := p.Activate(t.Context(), "vol-1a2b3c4d")
			if err == nil {
				t.Fatal("no error")
			}
			for _, is := range []error{ErrNotFound, ErrExists, ErrInUse, ErrNoRoom} {
				if errors.Is(err, is) != (is == tt.want) {
					t.Errorf("%v: is %q: %v", err, is, errors.Is(err, is))
				}
			}
		})
	}
}

func TestRemoveTouchesOursOnly(t *testing.T) {
	const lvs = "lvs --options " + reportFields + " --units b --nosuffix --reportformat json mallee\n"
	for _, tt := range []struct {
		name, volume string
		want         error
		calls        string
	}{
		{"ours", "vol-1a2b3c4d", nil, lvs + "lvremove --yes mallee/vol-1a2b3c4d\n"},
		{"not there", "vol-aaaaaaaa", ErrNotFound, lvs},
		{"an admin's in our pool", "admins", ErrNotFound, lvs},
		{"one outside the pool", "linear", ErrNotFound, lvs},
		{"the pool itself", "pool", ErrNotFound, lvs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, calls := lvmSaying(t, captured(t, "lvs_active.json"), "", "0")
			if err := p.Remove(t.Context(), tt.volume); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			got, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.calls, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAChangeIsGivenMoreTimeThanALook(t *testing.T) {
	p, _ := lvmSaying(t, captured(t, "lvs_active.json"), "", "0")
	p.run.Timeout = time.Nanosecond
	if _, err := p.Contents(t.Context()); err == nil {
		t.Error("a look took longer than its timeout")
	}
	if err := p.Create(t.Context(), "vol-1a2b3c4d", "vol-1a2b3c4d", 1<<30); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Create(gone, "vol-1a2b3c4d", "vol-1a2b3c4d", 1<<30); err != nil {
		t.Errorf("broken off with its caller: %v", err)
	}
}

func TestResizeTellsLVMTheExactSize(t *testing.T) {
	p, calls := lvmSaying(t, "", "", "0")
	if err := p.Resize(t.Context(), "vol-1a2b3c4d", 3<<30); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("lvextend --yes --size 3221225472b mallee/vol-1a2b3c4d\n", string(got)); diff != "" {
		t.Error(diff)
	}
}

// What a tool leaves that is killed while it grows a volume.
func TestATornDeviceIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		inactive string
		device   uint64
		want     bool
	}{
		"whole":               {"", 1 << 30, false},
		"not yet grown":       {"", 1 << 29, true},
		"suspended in growth": {"inactive table present", 1 << 30, true},
		"cannot be told":      {"", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			row := `"lv_name":"vol-1a2b3c4d", "lv_inactive_table":"` + tt.inactive + `", "lv_kernel_major":"253", "lv_kernel_minor":"7",`
			output := strings.Replace(captured(t, "lvs_active.json"), `"lv_name":"vol-1a2b3c4d",`, row, 1)
			r, err := parseReport([]byte(output), "pool", func(major, minor string) uint64 {
				if major != "253" || minor != "7" {
					return 0
				}
				return tt.device
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := r.contents.Volumes[1].Torn; got != tt.want {
				t.Errorf("torn is %v", got)
			}
		})
	}
}

func TestAVolumeOfAMissingPoolIsNotTakenForGone(t *testing.T) {
	for name, tt := range map[string]struct{ stdout, stderr, code string }{
		"no pool":  {`{"report":[{"lv":[]}]}`, "", "0"},
		"no group": {"", `  Volume group "mallee" not found`, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := lvmSaying(t, tt.stdout, tt.stderr, tt.code)
			if err := p.Remove(t.Context(), "vol-1a2b3c4d"); err == nil || errors.Is(err, ErrNotFound) {
				t.Errorf("error %v, want one that is not %q", err, ErrNotFound)
			}
		})
	}
}

func TestEnsureChangesOnlyWhatIsWrong(t *testing.T) {
	const lvs = "lvs --options " + reportFields + " --units b --nosuffix --reportformat json mallee\n"
	tests := []struct{ name, output, want string }{
		{"as it should be", captured(t, "lvs_active.json"), lvs},
		{"inactive after a reboot", captured(t, "lvs_inactive.json"), lvs + "lvchange --yes --activate y mallee/pool\n"},
		{
			"an admin's pool with defaults", captured(t, "lvs_defaults.json"),
			lvs + "lvchange --yes --zero y mallee/pool\nlvchange --yes --errorwhenfull y mallee/pool\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, calls := lvmSaying(t, tt.output, "", "0")
			if err := p.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamesThatAreOptionsOrPathsNeverReachLVM(t *testing.T) {
	p, calls := lvmSaying(t, "", "", "0")
	for _, name := range []string{"", "-f", "--yes", "a/b", "a b", "vol;x", "../x"} {
		if p.Create(t.Context(), name, "vol-1a2b3c4d", 1<<30) == nil || p.Create(t.Context(), "vol-1a2b3c4d", name, 1<<30) == nil || p.Remove(t.Context(), name) == nil || p.Activate(t.Context(), name) == nil ||
			p.Resize(t.Context(), name, 1<<30) == nil || p.Refresh(t.Context(), name) == nil {
			t.Errorf("%q was accepted", name)
		}
		if _, err := New(Options{Group: name, Pool: "pool"}); err == nil {
			t.Errorf("group %q was accepted", name)
		}
	}
	if _, err := os.Stat(calls); err == nil {
		t.Error("a tool was started")
	}
}

func FuzzParseReport(f *testing.F) {
	for _, name := range []string{"lvs_active.json", "lvs_inactive.json", "lvs_defaults.json"} {
		f.Add([]byte(captured(f, name)))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		r, err := parseReport(out, "pool", deviceSize)
		if err != nil {
			return
		}
		if r.contents.FreeBytes > r.contents.SizeBytes {
			t.Errorf("%d bytes free of %d", r.contents.FreeBytes, r.contents.SizeBytes)
		}
		if r.contents.MetadataFreeBytes > r.contents.MetadataSizeBytes {
			t.Errorf("%d bytes of metadata free of %d", r.contents.MetadataFreeBytes, r.contents.MetadataSizeBytes)
		}
	})
}
