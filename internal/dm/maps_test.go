// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	aTable  = "1 queue_if_no_path 0 1 1 service-time 0 2 2 8:16 1 1 8:32 1 1"
	aStatus = "2 0 0 0 1 1 A 0 2 2 8:16 A 0 0 1 8:32 F 3 0 1 "
)

func TestMaps(t *testing.T) {
	for _, noUUIDs := range []bool{false, true} {
		t.Run(fmt.Sprintf("kernel before 5.13 %v", noUUIDs), func(t *testing.T) {
			k, m := newKernel(t)
			k.noUUIDs = noUUIDs
			k.multipath("vg-lv", "LVM-abc", "", "").live.kind = "linear"
			k.multipath("nameless", "", "", "")
			k.multipath("mpatha", uuid, aTable, aStatus).open = 1
			k.multipath("b", "mpath-b", "0 0 0 0", "2 0 0 0 0 0 ").suspended = true
			k.multipath("half", "mpath-half", "", "").hasTable = false
			k.multipath("wiped", "mpath-wiped", "", "").live.kind = "error"
			k.multipath("joined", "mpath-joined", "", "").targets = 2
			k.multipath("part", "part1-mpath-b", "", "")

			got, err := m.maps("mpath-")
			if err != nil {
				t.Fatal(err)
			}
			want := []Map{
				{
					Device:        Device{Name: "dm-2", Alias: "mpatha", UUID: uuid, OpenCount: 1},
					Paths:         []Path{{Major: 8, Minor: 16, Active: true}, {Major: 8, Minor: 32, Fails: 3}},
					QueueIfNoPath: true,
					SizeBytes:     1 << 20,
				},
				{Device: Device{Name: "dm-3", Alias: "b", UUID: "mpath-b"}, SizeBytes: 1 << 20, Suspended: true},
				{Device: Device{Name: "dm-4", Alias: "half", UUID: "mpath-half"}},
				{Device: Device{Name: "dm-5", Alias: "wiped", UUID: "mpath-wiped"}, SizeBytes: 1 << 20},
				{Device: Device{Name: "dm-6", Alias: "joined", UUID: "mpath-joined"}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("maps (-want +got):\n%s", diff)
			}
			one, err := m.mapByUUID(uuid)
			if diff := cmp.Diff(want[0], one); err != nil || diff != "" {
				t.Errorf("map by UUID: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestNoMaps(t *testing.T) {
	_, m := newKernel(t)
	if got, err := m.maps("mpath-"); err != nil || len(got) > 0 {
		t.Errorf("maps of a kernel that has none: %v, %v", got, err)
	}
	if _, err := m.mapByUUID(uuid); !errors.Is(err, ErrNotFound) {
		t.Errorf("a map that is not there: %v", err)
	}
}

// A node may have many more devices, and a map more paths, than the first buffer holds.
func TestManyMapsOfManyPaths(t *testing.T) {
	k, m := newKernel(t)
	status := "2 0 0 0 1 1 A 0 500 2 " + strings.Repeat("65:112 A 0 0 1 ", 500)
	for i := range 300 {
		k.multipath(fmt.Sprint("m", i), fmt.Sprint("mpath-", i), aTable, status)
	}
	got, err := m.maps("mpath-")
	if err != nil || len(got) != 300 {
		t.Fatalf("%d maps, %v", len(got), err)
	}
	for _, d := range got {
		if len(d.Paths) != 500 {
			t.Fatalf("%s has %d paths", d.Alias, len(d.Paths))
		}
	}
}

// An answer that no buffer can hold is an error, not an endless loop.
func TestAnswerWithoutEnd(t *testing.T) {
	k, m := newKernel(t)
	k.multipath(wwid, uuid, strings.Repeat("x", mostRoom), aStatus)
	if _, err := m.mapByUUID(uuid); err == nil {
		t.Error("a table of 4 MB was read")
	}
}

// What another has removed between the list and the look is no error.
func TestMapsWhileOneGoes(t *testing.T) {
	for _, at := range []int{1, 2, 3} {
		t.Run(fmt.Sprintf("before look %d", at), func(t *testing.T) {
			k, m := newKernel(t)
			k.multipath("a", "mpath-a", aTable, aStatus)
			k.multipath("b", "mpath-b", aTable, aStatus)
			looks := 0
			k.before = func(c command) {
				if c == tableStatus {
					if looks++; looks == at {
						k.devices = slices.DeleteFunc(k.devices, func(d *device) bool { return d.name == "a" })
					}
				}
			}
			got, err := m.maps("mpath-")
			if err != nil || len(got) != 1+at/3 || got[len(got)-1].Alias != "b" {
				t.Errorf("maps: %v, %v", got, err)
			}
		})
	}
}
