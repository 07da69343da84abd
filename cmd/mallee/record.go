// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// The records of --output json and yaml. Scripts rely on the names: they are added to,
// not changed. Where a record has the fields of its noun, the conversion keeps
// the compiler watching over it.

type volumeRecord struct {
	ID           mallee.VolumeID     `json:"id"`
	Partition    string              `json:"partition"`
	SizeGiB      int                 `json:"size_gib"`
	State        mallee.VolumeState  `json:"state"`
	Status       client.VolumeStatus `json:"status,omitempty"` // of the volume that is shown alone
	WWID         mallee.WWID         `json:"wwid,omitempty"`
	Created      time.Time           `json:"created"`
	Message      string              `json:"message,omitempty"`
	Attachment   *attachmentRecord   `json:"attachment,omitempty"`
	Tags         map[string]string   `json:"tags,omitempty"`
	Modification *modificationRecord `json:"modification,omitempty"` // as Status
}

type modificationRecord struct {
	State       mallee.ModificationState `json:"state"`
	OriginalGiB int                      `json:"original_gib"`
	TargetGiB   int                      `json:"target_gib"`
	Started     time.Time                `json:"started"`
	Ended       time.Time                `json:"ended,omitzero"`
	Message     string                   `json:"message,omitempty"`
}

type attachmentRecord struct {
	VolumeID   mallee.VolumeID        `json:"volume_id"`
	InstanceID mallee.InstanceID      `json:"instance_id"`
	Device     string                 `json:"device"`
	HostDevice string                 `json:"host_device,omitempty"`
	State      mallee.AttachmentState `json:"state"`
	Generation uint64                 `json:"generation"`
	Since      time.Time              `json:"since"`
	Message    string                 `json:"message,omitempty"`
}

type nodeRecord struct {
	InstanceID      mallee.InstanceID `json:"instance_id"`
	Name            string            `json:"name"`
	Partition       string            `json:"partition"`
	Initiator       mallee.IQN        `json:"initiator"`
	Live            bool              `json:"live"`
	Seen            time.Time         `json:"seen,omitzero"`
	Tags            map[string]string `json:"tags,omitempty"`
	Joined          time.Time         `json:"joined,omitzero"`
	CertificateEnds time.Time         `json:"certificate_ends,omitzero"`
}

type partitionRecord struct {
	Name string      `json:"name"`
	Live bool        `json:"live"`
	Pool *poolRecord `json:"pool,omitempty"`
}

type poolRecord struct {
	SizeBytes         uint64   `json:"size_bytes"`
	FreeBytes         uint64   `json:"free_bytes"`
	PromisedBytes     uint64   `json:"promised_bytes"`
	PromiseLimitBytes uint64   `json:"promise_limit_bytes"`
	MetadataSizeBytes uint64   `json:"metadata_size_bytes"`
	MetadataFreeBytes uint64   `json:"metadata_free_bytes"`
	Alarms            []string `json:"alarms,omitempty"`
}

func recordVolume(v mallee.Volume) volumeRecord {
	record := volumeRecord{
		ID:           v.ID,
		Partition:    v.Partition,
		SizeGiB:      v.SizeGiB,
		State:        v.State,
		WWID:         v.WWID,
		Created:      v.Created,
		Message:      v.Message,
		Tags:         v.Tags,
		Modification: (*modificationRecord)(v.Modification),
	}
	if v.Attachment != nil {
		a := recordAttachment(*v.Attachment)
		record.Attachment = &a
	}
	return record
}

func recordPartition(p mallee.Partition) partitionRecord {
	return partitionRecord{Name: p.Name, Live: p.Live, Pool: (*poolRecord)(p.Pool)}
}

func recordAttachment(a mallee.Attachment) attachmentRecord       { return attachmentRecord(a) }
func recordModification(m mallee.Modification) modificationRecord { return modificationRecord(m) }
func recordNode(n mallee.Node) nodeRecord                         { return nodeRecord(n) }
