// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"

	"github.com/mallee-io/mallee"
)

func TestFreeDevice(t *testing.T) {
	c := newMemory()
	names := map[string]bool{}
	add := func(a *mallee.Attachment) {
		id := mallee.VolumeID(fmt.Sprintf("vol-%08x", len(c.volumes)))
		c.volumes[id] = &mallee.Volume{ID: id, State: mallee.VolumeInUse, Attachment: a}
	}
	attach := func(instance mallee.InstanceID, device string) {
		add(&mallee.Attachment{InstanceID: instance, Device: device, State: mallee.Attached})
	}
	attach("i-00000002", "/dev/sdf")
	attach("i-00000001", "/dev/sdg")
	add(nil)
	for i, want := range map[int]string{0: "/dev/sdf", 1: "/dev/sdh", 19: "/dev/sdz", 20: "/dev/sdaa", 695: "/dev/sdzz"} {
		for len(names) <= i {
			got, err := freeDevice(t.Context(), c, "i-00000001")
			if err != nil || names[got] || !mallee.ValidDevice(got) {
				t.Fatalf("device %d is %q, %v", len(names), got, err)
			}
			names[got] = true
			attach("i-00000001", got)
		}
		if got := c.volumes[mallee.VolumeID(fmt.Sprintf("vol-%08x", i+3))].Attachment.Device; got != want {
			t.Errorf("device %d is %s, want %s", i, got, want)
		}
	}
	if got, err := freeDevice(t.Context(), c, "i-00000001"); err == nil {
		t.Errorf("with all names taken %s is free", got)
	}
}
