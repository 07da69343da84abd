// SPDX-License-Identifier: Apache-2.0

// Package dm speaks with the kernel's device mapper through ioctls on
// /dev/mapper/control (include/uapi/linux/dm-ioctl.h), without starting a process.
//
// A device is any of the device mapper's; it is found by its UUID, because its
// name is an alias that others change. A table says what a device does with the
// I/O that it gets. A map is a device of multipath: its table has one target, of
// type multipath, over several paths, and its UUID is "mpath-" and the WWID of the
// disk. A path is a block device, named by its number; it is active for as long as
// the kernel sends I/O over it, and failed from the first error until somebody
// reinstates it.
//
// The functions may be called concurrently. They do not wait for I/O, except that
// Remove does. They take no context, because an ioctl cannot be called off.
package dm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var (
	// ErrNotFound is the error for a UUID that no device has.
	ErrNotFound = errors.New("no such device-mapper device")
	// ErrExists is the error for a map to be made whose UUID a device has already:
	// somebody else, as a rule multipathd, was faster, and MapByUUID finds it.
	ErrExists = errors.New("there is such a device-mapper device already")
	// ErrBusy is the error for what is in use: a device to be removed that is open,
	// and a path or a name for a map that another device has.
	ErrBusy = errors.New("in use")
)

// Device is a device-mapper device.
type Device struct {
	Name      string // "dm-0", the kernel's name
	Alias     string // the name below /dev/mapper
	UUID      string
	OpenCount int // how many have it open: mounts, processes, devices stacked on it
}

// Number names a block device by its major and minor number.
type Number struct{ Major, Minor uint32 }

// String returns the number as the kernel writes it, for instance "8:16".
func (n Number) String() string { return fmt.Sprintf("%d:%d", n.Major, n.Minor) }

// ByUUID returns the device with that UUID, or ErrNotFound.
func ByUUID(uuid string) (Device, error) {
	return ask(func(m *mapper) (Device, error) { return m.byUUID(uuid) })
}

// Remove removes the device with that UUID, unless somebody has it open: the error
// is then ErrBusy and nothing has changed. udev's programs open a device for a
// moment whenever it has changed, so that ErrBusy may pass. The removal is never
// put off and never forced: DM_DEFERRED_REMOVE would take away a device behind the
// back of whoever has found it meanwhile. The error is ErrNotFound if there is no
// such device. Remove returns when the I/O in flight has ended.
func Remove(uuid string) error {
	_, err := ask(func(m *mapper) (struct{}, error) { return struct{}{}, m.remove(uuid) })
	return err
}

// Message sends a message to the device with that UUID, to the target of its first
// sector. Multipath takes "fail_if_no_path", "queue_if_no_path", "fail_path 8:16"
// and "reinstate_path 8:16" (drivers/md/dm-mpath.c, multipath_message), and none
// while it is suspended. The error is ErrNotFound if there is no such device.
func Message(uuid, message string) error {
	_, err := ask(func(m *mapper) (struct{}, error) { return struct{}{}, m.message(uuid, message) })
	return err
}

func (m *mapper) byUUID(uuid string) (Device, error) {
	h, err := headerFor(uuid)
	if err != nil {
		return Device{}, err
	}
	if _, err := m.call(devStatus, &h, nil); err != nil {
		return Device{}, failed("look for", uuid, err)
	}
	return h.device(), nil
}

func (m *mapper) remove(uuid string) error {
	h, err := headerFor(uuid)
	if err != nil {
		return err
	}
	_, err = m.call(devRemove, &h, nil)
	if errors.Is(err, unix.EBUSY) { // dm_lock_for_deletion
		return failed("remove", uuid, ErrBusy)
	}
	return failed("remove", uuid, err)
}

func (m *mapper) message(uuid, message string) error {
	h, err := headerFor(uuid)
	if err != nil {
		return err
	}
	// struct dm_target_msg: the sector, 0 here, and the text.
	data := append(make([]byte, 8, 8+len(message)+1), message...)
	_, err = m.call(targetMessage, &h, append(data, 0))
	return failed("send "+message+" to", uuid, err)
}

// failed says what cannot be done with a device, or returns nil if err is nil.
func failed(what, uuid string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENXIO): // what drivers/md/dm-ioctl.c says of an unknown UUID
		err = ErrNotFound
	}
	return fmt.Errorf("cannot %s map %s: %w", what, uuid, err)
}
