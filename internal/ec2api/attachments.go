// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"fmt"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

type attachVolumeIn struct {
	common
	VolumeID   string `query:"VolumeId,required"`
	InstanceID string `query:"InstanceId,required"`
	Device     string `query:"Device,required"`
}

func (in attachVolumeIn) check() error {
	if err := checkVolumeID(in.VolumeID); err != nil {
		return err
	}
	if err := checkInstanceID(in.InstanceID); err != nil {
		return err
	}
	return checkDevice(in.Device)
}

func checkDevice(name string) error {
	if mallee.ValidDevice(name) {
		return nil
	}
	return query.BadValue("Device", name, fmt.Sprintf("%s is not a valid EBS device name: use 3 to 10 letters, digits and slashes, /dev/sdf for example.", name))
}

// attachmentOut is EC2's answer to AttachVolume and DetachVolume.
type attachmentOut struct {
	query.Reply
	attachmentItem
}

func (a api) attachVolume(ctx context.Context, in attachVolumeIn) (*attachmentOut, error) {
	at, err := a.volumes.AttachVolume(ctx, mallee.VolumeID(in.VolumeID), mallee.InstanceID(in.InstanceID), in.Device)
	if err != nil {
		return nil, err
	}
	return &attachmentOut{attachmentItem: newAttachmentItem(at)}, nil
}

type detachVolumeIn struct {
	common
	VolumeID   string `query:"VolumeId,required"`
	InstanceID string `query:"InstanceId"`
	Device     string `query:"Device"`
	Force      bool   `query:"Force" note:"only false: a volume is detached by its node"`
}

func (in detachVolumeIn) check() error {
	if err := checkVolumeID(in.VolumeID); err != nil {
		return err
	}
	if in.InstanceID != "" {
		if err := checkInstanceID(in.InstanceID); err != nil {
			return err
		}
	}
	if in.Device != "" {
		if err := checkDevice(in.Device); err != nil {
			return err
		}
	}
	if in.Force {
		// Without fencing at the SAN a forced detach would let two nodes write.
		return query.Faultf("UnsupportedOperation", "Value (true) for parameter force is not supported: %s can only be detached by its node.", in.VolumeID)
	}
	return nil
}

func (a api) detachVolume(ctx context.Context, in detachVolumeIn) (*attachmentOut, error) {
	at, err := a.volumes.DetachVolume(ctx, mallee.VolumeID(in.VolumeID), mallee.InstanceID(in.InstanceID), in.Device)
	if err != nil {
		return nil, err
	}
	return &attachmentOut{attachmentItem: newAttachmentItem(at)}, nil
}
