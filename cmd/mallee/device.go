// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// attachFree attaches a volume under a name that is free. Somebody else may take
// that name first: then the cloud refuses the call, and there is another name.
func attachFree(ctx context.Context, c volumes, id mallee.VolumeID, instance mallee.InstanceID) (mallee.Attachment, error) {
	device, err := freeDevice(ctx, c, instance)
	for err == nil {
		a, refused := c.AttachVolume(ctx, id, instance, device)
		if refused == nil || kindOf(refused) != mallee.Invalid {
			return a, refused
		}
		taken := device
		if device, err = freeDevice(ctx, c, instance); device == taken {
			return a, refused
		}
	}
	return mallee.Attachment{}, err
}

// freeDevice returns the first name for a guest's device that no volume of an
// instance has: /dev/sdf to /dev/sdz, then /dev/sdaa to /dev/sdzz. EC2 leaves
// the names before /dev/sdf to disks that an image brings.
func freeDevice(ctx context.Context, c volumes, instance mallee.InstanceID) (string, error) {
	taken := map[string]bool{}
	attached := client.VolumeQuery{Filters: []client.Filter{{Name: "attachment.instance-id", Values: []string{string(instance)}}}}
	for v, err := range c.EachVolume(ctx, attached) {
		if err != nil {
			return "", err
		}
		if v.Attachment != nil && v.Attachment.InstanceID == instance {
			taken[v.Attachment.Device] = true
		}
	}
	const letters = "abcdefghijklmnopqrstuvwxyz"
	for i := 'f' - 'a'; i < 27*26; i++ {
		name := "/dev/sd" + letters[i%26:i%26+1]
		if i >= 26 {
			name = "/dev/sd" + letters[i/26-1:i/26] + letters[i%26:i%26+1]
		}
		if !taken[name] {
			return name, nil
		}
	}
	return "", &mallee.Error{
		Op: "attach to", Kind: mallee.Exhausted, ID: string(instance),
		Err: errors.New("it has a volume under each device name from /dev/sdf to /dev/sdzz"), Hint: "name one with --device",
	}
}
