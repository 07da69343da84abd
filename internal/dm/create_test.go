// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var aSpec = Spec{Name: wwid, UUID: uuid, SizeBytes: 1 << 20, Paths: []Number{{8, 16}, {65, 32}}}

func TestCreateMultipath(t *testing.T) {
	k, m := newKernel(t)
	got, err := m.createMultipath(aSpec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Device{Name: "dm-0", Alias: wwid, UUID: uuid}, got); diff != "" {
		t.Errorf("device (-want +got):\n%s", diff)
	}
	want := target{sectors: 2048, kind: "multipath", text: "1 queue_if_no_path 0 1 1 service-time 0 2 1 8:16 1 65:32 1"}
	if d := k.devices[0]; d.live != want || d.suspended {
		t.Errorf("the kernel has table %+v, suspended %v; want %+v", d.live, d.suspended, want)
	}
	if diff := cmp.Diff([]command{devCreate, tableLoad, devSuspend}, k.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Whatever fails, no device is left but those that were there.
func TestCreateMultipathFails(t *testing.T) {
	for name, test := range map[string]struct {
		kernel func(*kernel)
		want   error
		says   string
	}{
		"somebody was faster": {
			kernel: func(k *kernel) {
				k.multipath("mpatha", uuid, aTable, aStatus)
				k.hold("8:16", "holders/dm-0") // as its paths are then held
			},
			want: ErrExists, says: wwid,
		},
		"and took the same name": {
			kernel: func(k *kernel) { k.multipath(wwid, uuid, aTable, aStatus) },
			want:   ErrExists, says: wwid,
		},
		"the name is another device's": {
			kernel: func(k *kernel) { k.multipath(wwid, "LVM-abc", "", "") },
			want:   ErrBusy, says: `dm-0 with UUID "LVM-abc"`,
		},
		"somebody was faster, and the name is another device's": {
			kernel: func(k *kernel) {
				k.multipath(wwid, "LVM-abc", "", "")
				k.multipath("mpatha", uuid, aTable, aStatus)
			},
			want: ErrExists, says: wwid,
		},
		"a path is part of another map": {
			kernel: func(k *kernel) { k.hold("65:32", "holders/dm-7") },
			want:   ErrBusy, says: "path 65:32 is part of dm-7",
		},
		"a partition of a path is part of another device": {
			kernel: func(k *kernel) {
				k.taken["8:16"] = true
				k.hold("8:16", "sdb1/holders/md0")
			},
			want: ErrBusy, says: "a partition of path 8:16 is part of md0",
		},
		"a path is mounted": {
			kernel: func(k *kernel) { k.taken["8:16"] = true },
			want:   ErrBusy, says: "8:16",
		},
		"a path is gone": {
			kernel: func(k *kernel) { k.errs[tableLoad] = unix.ENXIO },
			want:   unix.ENXIO, says: "65:32",
		},
		"no permission": {
			kernel: func(k *kernel) { k.errs[devCreate] = unix.EACCES },
			want:   unix.EACCES, says: wwid,
		},
		"the table is refused as it starts": {
			kernel: func(k *kernel) { k.errs[devSuspend] = unix.EINVAL },
			want:   unix.EINVAL, says: "start",
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, m := newKernel(t)
			test.kernel(k)
			before := len(k.devices)
			_, err := m.createMultipath(aSpec)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %v and %q", err, test.want, test.says)
			}
			if len(k.devices) != before {
				t.Errorf("%d devices are left, want %d", len(k.devices), before)
			}
		})
	}
}

// What cannot be removed again is named, with why the map was not made.
func TestWhatIsLeftOfAMapIsNamed(t *testing.T) {
	k, m := newKernel(t)
	k.errs[devSuspend] = unix.EINVAL
	k.errs[devRemove] = unix.EBUSY
	_, err := m.createMultipath(aSpec)
	if !errors.Is(err, unix.EINVAL) || !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "is left") {
		t.Errorf("error %v", err)
	}
}

func TestBadSpecsAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Spec)
		says   string
	}{
		"no name":              {func(s *Spec) { s.Name = "" }, "name"},
		"a name with a slash":  {func(s *Spec) { s.Name = "a/b" }, `"a/b"`},
		"a name with a zero":   {func(s *Spec) { s.Name = "a\x00b" }, "name"},
		"a long name":          {func(s *Spec) { s.Name = strings.Repeat("a", 128) }, "127"},
		"no UUID":              {func(s *Spec) { s.UUID = "" }, "UUID"},
		"a long UUID":          {func(s *Spec) { s.UUID = strings.Repeat("a", 129) }, "UUID"},
		"no size":              {func(s *Spec) { s.SizeBytes = 0 }, "multiple of 512"},
		"a part of a sector":   {func(s *Spec) { s.SizeBytes = 1<<20 + 511 }, "1049087"},
		"no path":              {func(s *Spec) { s.Paths = nil }, "path"},
		"the same path, twice": {func(s *Spec) { s.Paths = []Number{{8, 16}, {8, 32}, {8, 16}} }, "8:16"},
	} {
		t.Run(name, func(t *testing.T) {
			k, m := newKernel(t)
			s := aSpec
			test.change(&s)
			if _, err := m.createMultipath(s); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one with %q", err, test.says)
			}
			if len(k.asked) > 0 {
				t.Errorf("the kernel was asked: %v", k.asked)
			}
		})
	}
}
