// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// AttachVolume records the wish that a volume be a device on a node and returns
// the attachment in the state attaching.
func (c *Controller) AttachVolume(ctx context.Context, volume mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	const op = "attach"
	if !mallee.ValidDevice(device) {
		return mallee.Attachment{}, refuse(op, mallee.Invalid, string(volume), "device %q: write 3 to 10 letters, digits and slashes, /dev/sdf for example", device)
	}
	if !instance.Valid() {
		return mallee.Attachment{}, refuse(op, mallee.Malformed, string(instance), "an instance id is i- and 8 or 17 hexadecimal digits")
	}
	v, err := readView(ctx, c.store)
	if err != nil {
		return mallee.Attachment{}, err
	}
	// An instance stays with its name until it is removed, so that finding the
	// name needs no transaction.
	name, _, knownInstance := v.node(instance)
	var a attachmentRecord
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := getVolume(tx, op, volume)
		if err != nil {
			return err
		}
		if !knownInstance {
			return refuse(op, mallee.NotFound, string(instance), "there is no such instance")
		}
		node, found, err := nodes.Get(tx, name)
		if err != nil {
			return err
		}
		if !found || node.InstanceID != instance { // removed meanwhile, and perhaps joined as another
			return refuse(op, mallee.NotFound, string(instance), "there is no such instance")
		}
		if node.Partition != r.Partition {
			return refuse(op, mallee.ZoneMismatch, string(volume), "it is in partition %s and %s is in %s", r.Partition, instance, node.Partition)
		}
		switch r.State {
		case mallee.VolumeAvailable:
		case mallee.VolumeInUse:
			have, _, err := attachments.Get(tx, string(volume))
			if err != nil {
				return err
			}
			return refuse(op, mallee.InUse, string(volume), "%s is attached to %s", volume, have.InstanceID)
		default:
			return refuse(op, mallee.IncorrectState, string(volume), "its state is %s and has to be %s", r.State, mallee.VolumeAvailable)
		}
		// Read after the node's record, which every attachment to it rewrites: of
		// two that take one device name, one sees the other or is tried again.
		v, err := readView(ctx, c.store)
		if err != nil {
			return err
		}
		if holder := v.holder(instance, device); holder != "" {
			return refuse(op, mallee.Invalid, string(volume), "attachment point %s is already in use: %s has it on %s", device, holder, instance)
		}
		r.State, r.Generation = mallee.VolumeInUse, r.Generation+1
		a = attachmentRecord{
			InstanceID: instance, Initiator: node.Initiator, Partition: r.Partition, Device: device,
			State: mallee.Attaching, Generation: r.Generation, Since: time.Now().UTC(),
			Wanted: true, RequestID: telemetry.RequestID(ctx),
		}
		// Written unchanged, so that this and a change of the node's initiator,
		// which is allowed only without attachments, cannot both go through, nor
		// two attachments under one device name.
		if err := nodes.Put(tx, name, node); err != nil {
			return err
		}
		if err := attachments.Put(tx, string(volume), a); err != nil {
			return err
		}
		return volumes.Put(tx, string(volume), r)
	})
	if err != nil {
		return mallee.Attachment{}, err
	}
	c.log.InfoContext(ctx, "attachment wanted", "volume_id", volume, "instance_id", instance, "generation", a.Generation)
	return a.attachment(volume), nil
}

// DetachVolume records the wish that a volume no longer be a device on a node.
// Instance and device may be empty for whichever it is. Doing so again while it
// goes is success.
func (c *Controller) DetachVolume(ctx context.Context, volume mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	const op = "detach"
	var a attachmentRecord
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := getVolume(tx, op, volume)
		if err != nil {
			return err
		}
		var found bool
		if a, found, err = attachments.Get(tx, string(volume)); err != nil {
			return err
		}
		switch {
		case !found:
			// Terraform knows by this kind and the word "available" that somebody
			// else has detached the volume already.
			return refuse(op, mallee.IncorrectState, string(volume), "it is not attached: it is in the '%s' state", r.State)
		case instance != "" && instance != a.InstanceID:
			return refuse(op, mallee.NotAttached, string(volume), "it is attached to %s and not to %s", a.InstanceID, instance)
		case device != "" && device != a.Device:
			return refuse(op, mallee.NotAttached, string(volume), "it is attached as %s and not as %s", a.Device, device)
		case !a.Wanted:
			return nil
		}
		a.Wanted, a.State, a.Message, a.RequestID = false, mallee.Detaching, "", telemetry.RequestID(ctx)
		return attachments.Put(tx, string(volume), a)
	})
	if err != nil {
		return mallee.Attachment{}, err
	}
	c.log.InfoContext(ctx, "attachment no longer wanted", "volume_id", volume, "instance_id", a.InstanceID, "generation", a.Generation)
	return a.attachment(volume), nil
}
