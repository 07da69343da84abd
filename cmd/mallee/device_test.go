// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/mallee-io/mallee"
)

func TestFreeDevice(t *testing.T) {
	var volumes []mallee.Volume
	names := map[string]bool{}
	attach := func(instance mallee.InstanceID, device string) {
		volumes = append(volumes, mallee.Volume{Attachment: &mallee.Attachment{InstanceID: instance, Device: device}})
	}
	attach("i-00000002", "/dev/sdf")
	attach("i-00000001", "/dev/sdg")
	volumes = append(volumes, mallee.Volume{})
	for i, want := range map[int]string{0: "/dev/sdf", 1: "/dev/sdh", 19: "/dev/sdz", 20: "/dev/sdaa", 695: "/dev/sdzz"} {
		for len(names) <= i {
			got, err := freeDevice(volumes, "i-00000001")
			if err != nil || names[got] || !mallee.ValidDevice(got) {
				t.Fatalf("device %d is %q, %v", len(names), got, err)
			}
			names[got] = true
			attach("i-00000001", got)
		}
		if got := volumes[i+3].Attachment.Device; got != want {
			t.Errorf("device %d is %s, want %s", i, got, want)
		}
	}
	if got, err := freeDevice(volumes, "i-00000001"); err == nil {
		t.Errorf("with all names taken %s is free", got)
	}
}
