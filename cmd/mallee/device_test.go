// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
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

// rival is a cloud in which somebody else attaches a volume first.
type rival struct {
	*memory
	first func(device string) // nil once it has
}

func (r *rival) AttachVolume(ctx context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	if r.first != nil {
		r.first(device)
		r.first = nil
		return mallee.Attachment{}, refused("InvalidParameterValue", "cannot attach %s: attachment point %s is already in use", id, device)
	}
	return r.memory.AttachVolume(ctx, id, instance, device)
}

func TestAttachWhileAnotherAttaches(t *testing.T) {
	c := newMemory()
	c.volumes[volume] = &mallee.Volume{ID: volume, State: mallee.VolumeAvailable}
	r := &rival{memory: c, first: func(device string) {
		c.volumes["vol-00000002"] = &mallee.Volume{ID: "vol-00000002", Attachment: &mallee.Attachment{InstanceID: node, Device: device}}
	}}
	a, err := attachFree(t.Context(), r, volume, node)
	if err != nil || a.Device != "/dev/sdg" {
		t.Errorf("it is attached as %q, %v; want /dev/sdg, the first that is left", a.Device, err)
	}
	r.first = func(string) {} // refused, and not for the name
	if _, err := attachFree(t.Context(), r, volume, node); kindOf(err) != mallee.Invalid {
		t.Errorf("what is refused for another reason: %v", err)
	}
}
