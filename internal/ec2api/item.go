// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// volumeItem is EC2's Volume, with what we add at its end.
type volumeItem struct {
	VolumeID           mallee.VolumeID           `xml:"volumeId"`
	Size               int                       `xml:"size"` // GiB
	SnapshotID         string                    `xml:"snapshotId"`
	AvailabilityZone   string                    `xml:"availabilityZone"`
	Status             mallee.VolumeState        `xml:"status"`
	CreateTime         string                    `xml:"createTime"`
	Attachments        query.Set[attachmentItem] `xml:"attachmentSet"`
	Tags               query.Set[tagItem]        `xml:"tagSet"`
	VolumeType         string                    `xml:"volumeType"`
	Encrypted          bool                      `xml:"encrypted"`
	MultiAttachEnabled bool                      `xml:"multiAttachEnabled"`

	WWID          mallee.WWID `xml:"wwid,omitempty"`
	StatusMessage string      `xml:"statusMessage,omitempty"`
}

func newVolumeItem(v mallee.Volume) volumeItem {
	item := volumeItem{
		VolumeID: v.ID, Size: v.SizeGiB, AvailabilityZone: v.Partition, Status: v.State, CreateTime: timestamp(v.Created),
		Tags: newTagSet(v.Tags), VolumeType: v.Type, WWID: v.WWID, StatusMessage: v.Message,
	}
	if v.Attachment != nil {
		item.Attachments.Items = []attachmentItem{newAttachmentItem(*v.Attachment)}
	}
	return item
}

// attachmentItem is EC2's VolumeAttachment, with what we add at its end.
type attachmentItem struct {
	VolumeID            mallee.VolumeID        `xml:"volumeId"`
	InstanceID          mallee.InstanceID      `xml:"instanceId"`
	Device              string                 `xml:"device"`
	Status              mallee.AttachmentState `xml:"status"`
	AttachTime          string                 `xml:"attachTime"`
	DeleteOnTermination bool                   `xml:"deleteOnTermination"`

	HostDevice    string `xml:"hostDevice,omitempty"`
	Generation    uint64 `xml:"generation"`
	StatusMessage string `xml:"statusMessage,omitempty"`
}

func newAttachmentItem(a mallee.Attachment) attachmentItem {
	return attachmentItem{
		VolumeID: a.VolumeID, InstanceID: a.InstanceID, Device: a.Device, Status: a.State, AttachTime: timestamp(a.Since),
		HostDevice: a.HostDevice, Generation: a.Generation, StatusMessage: a.Message,
	}
}

// timestamp writes t as EC2 does, in UTC with milliseconds.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
