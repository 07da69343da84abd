// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"cmp"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
)

// The tables. A property's id is its name and a node's the name in its
// certificate. An attachment has the id of its volume, since a volume has one
// at most.
var (
	clouds      = store.NewTable[cloudRecord]("cloud", 1)
	volumes     = store.NewTable[volumeRecord]("volumes", 1)
	attachments = store.NewTable[attachmentRecord]("attachments", 1)
	nodes       = store.NewTable[nodeRecord]("nodes", 2)
	initiators  = store.NewTable[initiatorRecord]("initiators", 1)
	partitions  = store.NewTable[partitionRecord]("partitions", 1)
	properties  = store.NewTable[propertyRecord]("properties", 1)
	keys        = store.NewTable[keyRecord]("keys", 1)
	tokens      = store.NewTable[tokenRecord]("tokens", 1)
	tagSets     = store.NewTable[tagRecord]("tags", 1)
	members     = store.NewTable[memberRecord]("members", 1)
	joinTokens  = store.NewTable[joinTokenRecord]("join-tokens", 1)
	events      = store.NewTable[eventRecord]("property-events", 1)
)

// table is what all tables have in common, whatever their records are.
type table interface {
	Name() string
	Check(store.Record) error
}

// tables returns all of them. What is missing here could not be restored.
func tables() []table {
	return []table{clouds, volumes, attachments, nodes, initiators, partitions, properties, keys, tokens, tagSets, members, joinTokens, events}
}

type volumeRecord struct {
	Partition string
	SizeGiB   int    // what the SAN has made it, once it has
	Type      string `json:",omitzero"`
	State     mallee.VolumeState
	WWID      mallee.WWID `json:",omitzero"`
	Created   time.Time
	Message   string `json:",omitzero"`
	// Generation is the one of the volume's last attachment.
	Generation uint64 `json:",omitzero"`
	// Growth is the latest one. See grow.go.
	Growth growth `json:",omitzero"`
	// Token is the client token of the call that made the volume.
	Token string `json:",omitzero"`
	// RequestID is of the call that last changed the wish.
	RequestID mallee.RequestID `json:",omitzero"`
}

func (r volumeRecord) bytes() uint64 { return gibibytes(r.SizeGiB) }

func gibibytes(n int) uint64 { return uint64(n) * mallee.GiB }

// growth is a mallee.Modification. Its zero value is none.
type growth struct {
	State       mallee.ModificationState
	OriginalGiB int
	TargetGiB   int
	Started     time.Time
	Ended       time.Time `json:",omitzero"`
	Message     string    `json:",omitzero"`
}

type attachmentRecord struct {
	InstanceID mallee.InstanceID
	// Initiator is the node's as of the attachment: the export is made for it
	// and must be taken away from it.
	Initiator  mallee.IQN
	Partition  string // of the volume and of the node
	Device     string
	HostDevice string `json:",omitzero"`
	State      mallee.AttachmentState
	Generation uint64
	Since      time.Time
	Message    string `json:",omitzero"`
	Wanted     bool
	// Released is true once the node has confirmed that it has let go.
	Released bool `json:",omitzero"`
	// DeviceBytes is the size that the node's device has; 0 until it has told.
	DeviceBytes uint64           `json:",omitzero"`
	Export      *mallee.Export   `json:",omitzero"`
	RequestID   mallee.RequestID `json:",omitzero"`
}

type nodeRecord struct {
	InstanceID mallee.InstanceID
	Partition  string
	Initiator  mallee.IQN
	// CHAP is what the node proves itself with to the SAN; empty in records of
	// schema 1 until the node connects.
	CHAP mallee.CHAP `json:",omitzero"`
}

// memberRecord is a part that has joined. Its id is memberID of its role and
// name. Only who holds one of its certificates may call.
type memberRecord struct {
	Partition string
	Hosts     []string `json:",omitempty"`
	Joining   string   // id of the token that it has joined with
	Serial    string   // of its certificate; empty after a restore, until it calls
	// Previous is the certificate before, which is good until the present one is
	// first used: the answer to a renewal can be lost.
	Previous string `json:",omitzero"`
	Joined   time.Time
	Ends     time.Time // of the certificate
}

func memberID(role mallee.Role, name string) string { return string(role) + ":" + name }

// joinTokenRecord is a join token. Its id is the token's, without the secret.
type joinTokenRecord struct {
	Role       mallee.Role
	Name       string
	Partition  string
	Hosts      []string `json:",omitempty"`
	SecretHash string
	Expires    time.Time
	// The rest tells of the one use. Whoever asks again with the same key gets
	// the same certificate: the first answer may have been lost.
	Used        time.Time `json:",omitzero"`
	KeyHash     string    `json:",omitzero"`
	Certificate []byte    `json:",omitempty"`
}

// initiatorRecord tells which node an initiator name belongs to. Its id is that name.
type initiatorRecord struct{ Node string }

// partitionRecord exists for every partition that has had a storage controller.
type partitionRecord struct {
	Created time.Time
	// Changes counts the changes of the partition's properties. Nobody else's
	// stand between two that read the same number.
	Changes uint64 `json:",omitzero"`
}

type propertyRecord struct{ Value string }

// eventRecord is a change of a property. Its id is the partition and a place among
// keptEvents, in which the next change overwrites it that comes to this place.
type eventRecord struct {
	Number    uint64                // of the partition's changes
	Change    mallee.PropertyChange // as people may see it
	Time      time.Time
	AccessKey string
	RequestID mallee.RequestID
	Reset     bool `json:",omitzero"`
	Forced    bool `json:",omitzero"`
}

// keyRecord is an access key; its id is the public half.
type keyRecord struct{ Secret string }

// tokenRecord tells what a client token was used for. Its id is derived from
// the token by tokenID.
type tokenRecord struct {
	VolumeID  mallee.VolumeID
	Partition string
	SizeGiB   int
	Type      string            `json:",omitzero"`
	Tags      map[string]string `json:",omitzero"`
}

// tagRecord holds the tags of a volume or an instance, whose id is its own. It
// exists while there are any.
type tagRecord map[string]string

func (r volumeRecord) volume(id mallee.VolumeID, tags tagRecord) mallee.Volume {
	v := mallee.Volume{
		ID: id, Partition: r.Partition, SizeGiB: r.SizeGiB, Type: cmp.Or(r.Type, "standard"), State: r.State,
		WWID: r.WWID, Created: r.Created, Message: r.Message, Tags: tags,
	}
	if r.Growth != (growth{}) {
		v.Modification = new(mallee.Modification(r.Growth))
	}
	return v
}

func (a attachmentRecord) attachment(id mallee.VolumeID) mallee.Attachment {
	return mallee.Attachment{
		VolumeID: id, InstanceID: a.InstanceID, Device: a.Device, HostDevice: a.HostDevice,
		State: a.State, Generation: a.Generation, Since: a.Since, Message: a.Message,
	}
}
