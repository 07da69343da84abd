// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/mallee-io/mallee"
)

// volumeItem is a volume as the API writes it.
type volumeItem struct {
	ID          mallee.VolumeID    `xml:"volumeId"`
	SizeGiB     int                `xml:"size"`
	Partition   string             `xml:"availabilityZone"`
	Type        string             `xml:"volumeType"`
	State       mallee.VolumeState `xml:"status"`
	Created     time.Time          `xml:"createTime"`
	Attachments []attachmentItem   `xml:"attachmentSet>item"`
	WWID        mallee.WWID        `xml:"wwid"`
	Message     string             `xml:"statusMessage"`
	Tags        []tagItem          `xml:"tagSet>item"`
}

func (i volumeItem) volume() mallee.Volume {
	v := mallee.Volume{
		ID: i.ID, Partition: i.Partition, SizeGiB: i.SizeGiB, Type: i.Type, State: i.State, WWID: i.WWID, Created: i.Created, Message: i.Message,
		Tags: tagMap(i.Tags),
	}
	if len(i.Attachments) > 0 {
		a := i.Attachments[0].attachment()
		v.Attachment = &a
	}
	return v
}

// attachmentItem is an attachment as the API writes it.
type attachmentItem struct {
	VolumeID   mallee.VolumeID        `xml:"volumeId"`
	InstanceID mallee.InstanceID      `xml:"instanceId"`
	Device     string                 `xml:"device"`
	HostDevice string                 `xml:"hostDevice"`
	State      mallee.AttachmentState `xml:"status"`
	Generation uint64                 `xml:"generation"`
	Since      time.Time              `xml:"attachTime"`
	Message    string                 `xml:"statusMessage"`
}

func (i attachmentItem) attachment() mallee.Attachment { return mallee.Attachment(i) }

// Volume returns one volume, without its Modification, which is asked for on its
// own. The error for a volume that does not exist has the code InvalidVolume.NotFound.
func (c *Client) Volume(ctx context.Context, id mallee.VolumeID) (mallee.Volume, error) {
	list, _, err := c.volumePage(ctx, url.Values{"VolumeId.1": {string(id)}})
	if err != nil {
		return mallee.Volume{}, err
	}
	if len(list) != 1 {
		return mallee.Volume{}, fmt.Errorf("the cloud answered with %d volumes of id %s", len(list), id)
	}
	return list[0], nil
}

// CreateVolume asks for a volume. It is there, in state creating, when the call
// returns, and usable when its state is available. With a ClientToken in spec the
// call can be repeated after an error without making a second volume.
func (c *Client) CreateVolume(ctx context.Context, spec mallee.VolumeSpec) (mallee.Volume, error) {
	params := url.Values{"AvailabilityZone": {spec.Partition}, "Size": {strconv.Itoa(spec.SizeGiB)}}
	if spec.Type != "" {
		params.Set("VolumeType", spec.Type)
	}
	if spec.ClientToken != "" {
		params.Set("ClientToken", spec.ClientToken)
	}
	if len(spec.Tags) > 0 {
		params.Set("TagSpecification.1.ResourceType", "volume")
		setTags(params, "TagSpecification.1.Tag", spec.Tags)
	}
	var out volumeItem
	if err := c.do(ctx, ec2, "CreateVolume", params, &out); err != nil {
		return mallee.Volume{}, err
	}
	return out.volume(), nil
}

// DeleteVolume deletes a volume that is not attached, and what is on it.
func (c *Client) DeleteVolume(ctx context.Context, id mallee.VolumeID) error {
	return c.do(ctx, ec2, "DeleteVolume", url.Values{"VolumeId": {string(id)}}, &struct{}{})
}

// AttachVolume asks that the volume become a device on the instance; device is
// the name that its guest shall see, "/dev/sdf" for example.
func (c *Client) AttachVolume(ctx context.Context, volume mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	return c.attachment(ctx, "AttachVolume", volume, instance, device)
}

// DetachVolume asks that the volume be taken away from where it is. An instance
// or device that is not empty must be the attachment's.
func (c *Client) DetachVolume(ctx context.Context, volume mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	return c.attachment(ctx, "DetachVolume", volume, instance, device)
}

func (c *Client) attachment(ctx context.Context, action string, volume mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	params := url.Values{"VolumeId": {string(volume)}}
	if instance != "" {
		params.Set("InstanceId", string(instance))
	}
	if device != "" {
		params.Set("Device", device)
	}
	var out attachmentItem
	if err := c.do(ctx, ec2, action, params, &out); err != nil {
		return mallee.Attachment{}, err
	}
	return out.attachment(), nil
}
