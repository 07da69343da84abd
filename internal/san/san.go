// SPDX-License-Identifier: Apache-2.0

// Package san is what a storage controller needs of a SAN.
//
// A SAN keeps volumes in a pool and exports them. An export offers one volume to
// one initiator, under a LUN of a target, through every portal of that target;
// a volume can have exports to several initiators at once, as a migration needs.
//
// Every driver must pass santest.Run.
package san

import (
	"context"
	"log/slog"

	"github.com/mallee-io/mallee"
)

// SAN is one SAN, or one storage processor of it. All methods MUST be idempotent
// and safe for concurrent use, and MUST return when their context ends, though
// what they began MAY go on. Errors MUST be *mallee.Error; each method says which
// kinds tell what, and any method MAY return mallee.Unavailable, which means that
// the same call may succeed later, and that it is not known whether this one did.
type SAN interface {
	// Info tells the pool, the target and its portals.
	Info(ctx context.Context) (Info, error)

	// CreateVolume makes a volume, whose size is a positive multiple of
	// mallee.GiB. The volume MUST read as zeros, and MAY take room only for what
	// is written to it. A volume of that id and size MUST be success, whatever its
	// name is, and keeps that name; one of that id and another size MUST be
	// Mismatch and stay as it is. A name that something else on the SAN has MUST be
	// InUse. A size that the pool can never hold MUST be Exhausted, any other wrong
	// size, id or name Invalid. Each of these MUST leave the SAN as it was.
	// The WWID MUST be unique; it and the name MUST stay the same for the volume's
	// life.
	CreateVolume(ctx context.Context, v VolumeSpec) (Volume, error)

	// DeleteVolume removes a volume. One that is not there MUST be success; one
	// with an export MUST be InUse and stay as it is.
	DeleteVolume(ctx context.Context, id mallee.VolumeID) error

	// ResizeVolume grows a volume to sizeBytes, a positive multiple of mallee.GiB,
	// whether or not it is exported and in use; what it held stays, and what is new
	// reads as zeros. A volume of that size or more MUST be success and stay as it
	// is. One that is not there MUST be NotFound, a size that the pool cannot hold
	// Exhausted, any other wrong size Invalid; each MUST leave the volume as it was.
	ResizeVolume(ctx context.Context, id mallee.VolumeID, sizeBytes uint64) (Volume, error)

	// Volumes lists the volumes that CreateVolume made, and no others that the
	// SAN may keep for other users, sorted by id.
	Volumes(ctx context.Context) ([]Volume, error)

	// Export offers a volume to initiator and MUST NOT offer it to any other. The
	// LUN MUST be above 0, MUST be no other export's of that initiator, and MUST
	// stay the same for as long as the export exists, also when the SAN restarts.
	// A volume that is not there MUST be NotFound, an initiator without a free LUN
	// Exhausted.
	//
	// An initiator that still has a disk of one volume would take another volume at
	// the same LUN for it. So a LUN that is retired MUST NOT be given to another
	// volume, and MUST be given to its own when that is exported again. Held are the
	// LUNs at which initiator may have disks, of this and of other volumes, as far as
	// the caller knows: those that the SAN knows nothing of MUST be retired, those
	// that it does MUST stay as they are. A LUN SHOULD come to another volume as late
	// as possible.
	//
	// From then on initiator MUST prove itself with chap when it logs in, for this
	// and all its other exports; sessions that it has MUST go on. The zero CHAP asks
	// for no proof, which a SAN MAY refuse as Invalid. A SAN MUST NOT tell the
	// password to anybody, in Exports or in an error for example.
	Export(ctx context.Context, id mallee.VolumeID, initiator mallee.IQN, chap mallee.CHAP, held Seats) (mallee.Export, error)

	// Unexport takes the offer back. When it returns nil, no write of that
	// initiator can reach the volume any more, also none that was in flight.
	// Exports to other initiators MUST NOT notice. No such export, and no such
	// volume, MUST be success.
	//
	// The LUN of the export MUST be retired unless it is released: the LUN at which
	// the initiator has confirmed to have no disk of this volume any more, or 0 if it
	// has confirmed nothing. If the released one was retired for this volume before,
	// it MUST be free then.
	Unexport(ctx context.Context, id mallee.VolumeID, initiator mallee.IQN, released uint16) error

	// Exports lists all exports, and the retired LUNs with the exports that they
	// were, both sorted by volume and initiator. A retired LUN of a volume that is
	// exported to the same initiator at another LUN MUST NOT be listed.
	Exports(ctx context.Context) (exports, retired []Export, err error)
}

// Login is what a caller proves itself with to a SAN that asks for a user and a
// password; the zero Login is none. It prints as its user alone.
type Login struct{ User, Password string }

// String returns the user. The password must not reach a log by %v.
func (l Login) String() string { return l.User }

// LogValue keeps the password from log/slog, whose JSON would write the fields.
func (l Login) LogValue() slog.Value { return slog.StringValue(l.User) }

// GoString keeps the password from %#v too.
func (l Login) GoString() string { return l.User }

// Info tells what a SAN is and how full it is.
type Info struct {
	Name          string
	Target        mallee.IQN
	Portals       []string // "address:port"
	PoolSizeBytes uint64
	PoolFreeBytes uint64
	// PromisedBytes are the sizes of all volumes, which MAY be more than the pool
	// has; PromiseLimitBytes is what they may come to.
	PromisedBytes     uint64
	PromiseLimitBytes uint64
	// Metadata is what the SAN needs to know where each block is; 0 where that
	// cannot run short.
	MetadataSizeBytes uint64
	MetadataFreeBytes uint64
	// Alarms tell a person what must be seen to, and how; empty when all is well.
	Alarms []string
}

// VolumeSpec is a volume to be made.
type VolumeSpec struct {
	ID mallee.VolumeID
	// Name is what the SAN's own tools will show; empty for the id. Only people read
	// it: every method names a volume by its id.
	Name      string
	SizeBytes uint64
}

// Volume is a volume as the SAN keeps it.
type Volume struct {
	ID        mallee.VolumeID
	Name      string // that it was made with
	SizeBytes uint64
	WWID      mallee.WWID
}

// Seats are LUNs of one initiator, with the volume that each is.
type Seats map[uint16]mallee.VolumeID

// Export is one volume offered to one initiator.
type Export struct {
	VolumeID  mallee.VolumeID
	Initiator mallee.IQN
	mallee.Export
}
