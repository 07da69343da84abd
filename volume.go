// SPDX-License-Identifier: Apache-2.0

package mallee

import "time"

// GiB is the unit in which volumes are sized.
const GiB = 1 << 30

// MaxSizeGiB is the largest volume that can be asked for: 16 TiB, as EC2's
// general types have it.
const MaxSizeGiB = 16 << 10

// VolumeState is where a volume is in its life, in EC2's words.
type VolumeState string

// The states of a volume. A deleted volume has no record and so no state.
const (
	VolumeCreating  VolumeState = "creating"
	VolumeAvailable VolumeState = "available"
	VolumeInUse     VolumeState = "in-use"
	VolumeDeleting  VolumeState = "deleting"
	VolumeError     VolumeState = "error"
)

// Volume is a block device kept by the SAN of a partition.
type Volume struct {
	ID        VolumeID
	Partition string
	SizeGiB   int
	// Type is the EBS volume type that was asked for, "gp3" for example. It is
	// told back and means nothing: the pool decides how fast a volume is.
	Type    string
	State   VolumeState
	WWID    WWID // empty until the SAN has made the volume
	Created time.Time
	// Message says why the state is what it is, for a person; empty when all is well.
	Message string
	// Attachment is nil unless State is in-use.
	Attachment *Attachment
	Tags       map[string]string
	// Modification is the latest growth of the volume; nil if it never grew.
	Modification *Modification
}

// ModificationState is how far the growth of a volume has come, in EC2's words.
type ModificationState string

// The states of a modification.
const (
	ModificationModifying  ModificationState = "modifying"  // the SAN has not grown it yet
	ModificationOptimizing ModificationState = "optimizing" // the SAN has, the node's device has not
	ModificationCompleted  ModificationState = "completed"
	ModificationFailed     ModificationState = "failed" // the volume has the size that it had
)

// Modification is the growth of a volume.
type Modification struct {
	State       ModificationState
	OriginalGiB int
	TargetGiB   int
	Started     time.Time
	Ended       time.Time // zero until completed or failed
	Message     string    // what stands in its way, for a person
}

// VolumeSpec is what a tenant asks for.
type VolumeSpec struct {
	Partition string
	SizeGiB   int
	Type      string // see Volume
	// ClientToken makes the call idempotent: the same token with the same
	// spec returns the volume that the first call made. Empty means no token.
	ClientToken string
	Tags        map[string]string
}

// AttachmentState is where an attachment is in its life, in EC2's words.
type AttachmentState string

// The states of an attachment. A detached attachment has no record.
const (
	Attaching AttachmentState = "attaching"
	Attached  AttachmentState = "attached"
	Detaching AttachmentState = "detaching"
	Detached  AttachmentState = "detached"
)

// Attachment is the wish that a volume be a device on a node, and what became of it.
type Attachment struct {
	VolumeID   VolumeID
	InstanceID InstanceID
	// Device is the name that the tenant gave, "/dev/sdf" for example.
	Device string
	// HostDevice is where the node has the volume, "/dev/mallee/vol-…"; empty until attached.
	HostDevice string
	State      AttachmentState
	// Generation grows with each attachment of the volume, so that a late word
	// about an earlier one is not taken for this one.
	Generation uint64
	Since      time.Time
	Message    string
}

// Export is what the SAN offers one initiator for one volume.
type Export struct {
	Target  IQN
	LUN     uint16
	WWID    WWID
	Portals []string // "address:port" of every portal of the target
}
