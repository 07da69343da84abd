// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const (
	wwid = "360014056d6c6c65000000000000000a1"
	uuid = "mpath-" + wwid
)

// The kernel takes a UUID of up to 128 bytes, and an empty one for a question about
// a name or a number; it would read another one up to a zero byte.
func TestWhatIsNoUUIDIsRefused(t *testing.T) {
	k, m := newKernel(t)
	for _, uuid := range []string{"", strings.Repeat("a", 129), strings.Repeat("a", 4096), "mpath-\x00x"} {
		_, byUUID := m.byUUID(uuid)
		_, mapByUUID := m.mapByUUID(uuid)
		for _, err := range []error{byUUID, mapByUUID, m.remove(uuid), m.message(uuid, "fail_if_no_path")} {
			if err == nil || !strings.Contains(err.Error(), "no device-mapper UUID") || errors.Is(err, ErrNotFound) {
				t.Errorf("UUID of %d bytes: error %v", len(uuid), err)
			}
		}
	}
	if len(k.asked) > 0 {
		t.Errorf("the kernel was asked: %v", k.asked)
	}
}

func TestByUUID(t *testing.T) {
	k, m := newKernel(t)
	k.multipath("mpatha", "mpath-other", "", "")
	d := k.multipath(wwid, uuid, "", "")
	d.open = 2
	got, err := m.byUUID(uuid)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Device{Name: "dm-1", Alias: wwid, UUID: uuid, OpenCount: 2}, got); diff != "" {
		t.Errorf("device (-want +got):\n%s", diff)
	}
	if _, err := m.byUUID("mpath-none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a UUID that no device has: %v", err)
	}
	k.errs[devStatus] = unix.EPERM
	if _, err := m.byUUID(uuid); !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), uuid) {
		t.Errorf("a question that the kernel refuses: %v", err)
	}
}

func TestRemove(t *testing.T) {
	k, m := newKernel(t)
	d := k.multipath(wwid, uuid, "", "")
	d.open = 1
	if err := m.remove(uuid); !errors.Is(err, ErrBusy) || len(k.devices) != 1 {
		t.Errorf("an open device: %v, and %d devices are left", err, len(k.devices))
	}
	d.open = 0
	if err := m.remove(uuid); err != nil || len(k.devices) != 0 {
		t.Errorf("a device that is not open: %v, and %d devices are left", err, len(k.devices))
	}
	if err := m.remove(uuid); !errors.Is(err, ErrNotFound) {
		t.Errorf("a device that is gone: %v", err)
	}
}

func TestMessage(t *testing.T) {
	k, m := newKernel(t)
	d := k.multipath(wwid, uuid, "", "")
	for _, message := range []string{"fail_if_no_path", "fail_path 8:16", "x " + strings.Repeat("y", 10_000)} {
		if err := m.message(uuid, message); err != nil {
			t.Fatal(err)
		}
		if got := d.messages[len(d.messages)-1]; got != "0 "+message {
			t.Errorf("the target was told %q, want %q", got, "0 "+message)
		}
	}
	if err := m.message("mpath-none", "fail_if_no_path"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a message to no device: %v", err)
	}
}
