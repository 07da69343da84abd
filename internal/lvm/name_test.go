// SPDX-License-Identifier: Apache-2.0

package lvm

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/command"
)

func TestAVolumeIsFoundByTheIDInItsTag(t *testing.T) {
	output := strings.Replace(captured(t, "lvs_active.json"),
		`"lv_name":"vol-1a2b3c4d", "lv_size":"1073741824", "lv_active":"active", "pool_lv":"pool", "lv_tags":"mallee"`,
		`"lv_name":"pre.x_suf", "lv_size":"1073741824", "lv_active":"active", "pool_lv":"pool", "lv_tags":"gold,mallee,mallee.id=vol-1a2b3c4d"`, 1)
	p, _ := lvmSaying(t, output, "", "0")
	c, err := p.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Volume{
		{ID: "vol-1a2b3c4d", Name: "pre.x_suf", SizeBytes: 1 << 30, Active: true},
		{ID: "vol-0123456789abcdef0", Name: "vol-0123456789abcdef0", SizeBytes: 1 << 30, Active: true}, // of before there were tags
	}
	if diff := cmp.Diff(want, c.Volumes); diff != "" {
		t.Error(diff)
	}
}

func TestCreateWritesTheIDIntoATag(t *testing.T) {
	p, calls := lvmSaying(t, "", "", "0")
	if err := p.Create(t.Context(), "vol-1a2b3c4d", "pre.vol-1a2b3c4d_suf", 1<<30); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" --name pre.vol-1a2b3c4d_suf ", " --addtag mallee ", " --addtag mallee.id=vol-1a2b3c4d "} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestNamesThatLVMWouldNotTakeAreToldApart(t *testing.T) {
	for name, tt := range map[string]struct {
		group, volume string
		want          bool
	}{
		"an id":                            {"mallee", "vol-0123456789abcdef0", true},
		"as long as it may be":             {"mallee", strings.Repeat("x", 100), true},
		"longer":                           {"mallee", strings.Repeat("x", 101), false},
		"long with dashes":                 {"mallee", strings.Repeat("-x", 50)[1:], false},
		"long in a group with a long name": {strings.Repeat("g", 90), "pre-vol-0123456789abcdef0-suffix-suffix", false},
		"a device as long as it may be":    {strings.Repeat("g", 100), strings.Repeat("x", 26), true},
		"a device that is longer":          {strings.Repeat("g", 100), strings.Repeat("x", 27), false},
		"a part of a pool":                 {"mallee", "a_tmeta-vol-1a2b3c4d", false},
		"a move":                           {"mallee", "pvmove-vol-1a2b3c4d", false},
		"an option":                        {"mallee", "-vol-1a2b3c4d", false},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(Options{Group: tt.group, Pool: "pool", Run: command.Runner{}})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.checkNew(tt.volume); (err == nil) != tt.want || err != nil && !errors.Is(err, ErrName) {
				t.Errorf("error %v", err)
			}
		})
	}
}
