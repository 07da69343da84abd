// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"io"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// What a Connector needs of the machine. The packages below internal/ fulfil these
// on a real one; a test's kernel plays them.

// initiator is iscsid and the kernel's sessions of ours.
type initiator interface {
	Name() (string, error)
	Sessions() ([]openiscsi.Session, error)
	States() (map[int]string, error)
	Secret(openiscsi.Session) (openiscsi.Secret, error)
	FindDevice(netDevice string) error
	Login(ctx context.Context, portals []openiscsi.Portal, done func(openiscsi.Portal, error))
	Logout(context.Context, []openiscsi.Session) []error
}

// records is open-iscsi's database.
type records interface {
	PrepareIface(context.Context) error
	Recorded() ([]openiscsi.Portal, error)
	WriteRecords(context.Context, []openiscsi.Portal, openiscsi.Settings, openiscsi.Secret) error
	RemoveRecord(context.Context, openiscsi.Portal) error
	RemoveUnusedIfaces(context.Context) error
}

// disks is the SCSI layer: the disks that sessions carry.
type disks interface {
	SessionDisks(session int) ([]block.Disk, error)
	SessionDisk(session int, lun uint64) (block.Disk, bool, error)
	ScanLUN(host int, lun uint64) error
	WWID(disk string, timeout time.Duration) (string, error)
	Rescan(disk string) error
	DeleteDisk(session int, disk block.Disk) error
	InFlight(disk string) (int, error)
	ForgetPartitions(disk string) error
}

// devices is the block layer: disks and maps alike.
type devices interface {
	SizeBytes(device string) (uint64, error)
	SizeOf(major, minor uint32) (name string, bytes uint64, err error)
	Flush(device string) error
	Hold(device string) (io.Closer, error)
	Users(device string) []string
	Announce(device string) error
}

// mapper is the device mapper.
type mapper interface {
	Maps(uuidPrefix string) ([]dm.Map, error)
	MapByUUID(uuid string) (dm.Map, error)
	CreateMultipath(dm.Spec) (dm.Device, error)
	Remove(uuid string) error
	Message(uuid, message string) error
}

// daemon is multipathd.
type daemon interface {
	Ping(context.Context) error
	Maps(context.Context) ([]multipath.Map, error)
	AddMap(ctx context.Context, device string) error
	AddPath(ctx context.Context, disk string) error
	RemovePath(ctx context.Context, disk string) error
	ResizeMap(ctx context.Context, name string) error
	DisableQueueing(ctx context.Context, name string) error
	RestoreQueueing(ctx context.Context, name string) error
}

// allowed is the list of identities that multipathd may make maps of.
type allowed interface {
	Add(ctx context.Context, wwid string) error
	Remove(ctx context.Context, wwid string) error
}

// kernelMaps is the running kernel's device mapper.
type kernelMaps struct{}

func (kernelMaps) Maps(uuidPrefix string) ([]dm.Map, error)     { return dm.Maps(uuidPrefix) }
func (kernelMaps) MapByUUID(uuid string) (dm.Map, error)        { return dm.MapByUUID(uuid) }
func (kernelMaps) CreateMultipath(s dm.Spec) (dm.Device, error) { return dm.CreateMultipath(s) }
func (kernelMaps) Remove(uuid string) error                     { return dm.Remove(uuid) }
func (kernelMaps) Message(uuid, message string) error           { return dm.Message(uuid, message) }
