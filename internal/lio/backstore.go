// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// Backstore is a block device and the identity that it has on the SAN.
type Backstore struct {
	Name   string // unique among our backstores
	Device string // path of the block device
	// Serial is 32 hexadecimal digits. The kernel makes the NAA identity of the
	// VPD page 0x83 of 6001405 and the first 25 of them
	// (drivers/target/target_core_spc.c, spc_gen_naa_6h_vendor_specific).
	Serial  string
	Vendor  string // at most 8 characters (SPC-4 §6.6.2)
	Product string // at most 16 characters
}

// serialPrefix is what the kernel puts before the serial when it is read.
const serialPrefix = "T10 VPD Unit Serial Number: "

// AddBackstore makes LIO open the device. If LIO has it open already, it is
// compared and left alone: one of another identity or device is an error, since
// to change it would swap the disk under its initiators.
//
// Discards are passed on to a device that takes them, so that a thin volume
// shrinks again.
//
// The write cache is told as the device has it: for a block device the kernel asks
// the device itself and refuses to be told otherwise. A thin volume tells of one,
// and rightly so: a block that is written for the first time is on disk for good
// with the next flush or FUA write of the pool, or within the second in which the
// kernel commits by itself (drivers/md/dm-thin.c, COMMIT_PERIOD). Power that fails
// before takes such a write away, though it was acknowledged.
//
// A fileio backstore would write through, for it opens its device O_DSYNC
// (drivers/target/target_core_file.c), and is still no way out. It carries commands
// out one at a time, in the thread that receives for their connection: one volume
// that hangs stalls every other on the session, until the session ends. And its
// writes go by the page cache, which tells an error of writing back once for each
// open file (mm/filemap.c, file_check_and_advance_wb_err), of which the backstore
// has one: of the writes that failed over four paths at a time, in a full pool, one
// in ten was acknowledged. With fd_async_io it has neither fault, and does not write
// through.
func (t *Target) AddBackstore(b Backstore) error {
	if !validName(b.Name) {
		return fmt.Errorf("%q cannot name a backstore", b.Name)
	}
	dir := path.Join(hba, b.Name)
	for _, d := range []string{hba, dir} {
		if err := t.mkdir(d); err != nil {
			return fmt.Errorf("cannot add backstore %s: %w", b.Name, err)
		}
	}
	enabled, err := t.fs.Read(path.Join(dir, "enable"))
	if err != nil {
		return fmt.Errorf("cannot add backstore %s: %w", b.Name, err)
	}
	if enabled == "1" {
		return t.sameBackstore(b)
	}
	// The identity is set before the device is opened, so that there is no moment
	// at which an initiator could see another one.
	for _, w := range []struct{ attribute, value string }{
		{"wwn/vendor_id", b.Vendor},
		{"wwn/product_id", b.Product},
		{"wwn/vpd_unit_serial", b.Serial},
		{"control", "udev_path=" + b.Device},
		{"enable", "1"},
	} {
		if err := t.fs.Write(path.Join(dir, w.attribute), w.value); err != nil {
			return fmt.Errorf("cannot add backstore %s: %w", b.Name, err)
		}
	}
	return t.passDiscards(b.Name)
}

// passDiscards can be set only once the device is open: the kernel asks whether
// it can discard. If it cannot, as in a pool with discards=ignore, initiators are
// told so, and that is all (drivers/target/target_core_configfs.c,
// emulate_tpu_store).
func (t *Target) passDiscards(name string) error {
	err := t.set(path.Join(hba, name, "attrib/emulate_tpu"), "1")
	if err != nil && !errors.Is(err, syscall.ENOSYS) && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("cannot make backstore %s pass on discards: %w", name, err)
	}
	return nil
}

// sameBackstore returns an error unless the open backstore of that name is b.
func (t *Target) sameBackstore(b Backstore) error {
	dir := path.Join(hba, b.Name)
	serial, err := t.fs.Read(path.Join(dir, "wwn/vpd_unit_serial"))
	if err != nil {
		return fmt.Errorf("cannot check backstore %s: %w", b.Name, err)
	}
	if serial = strings.TrimPrefix(serial, serialPrefix); serial != b.Serial {
		return fmt.Errorf("backstore %s has serial %s instead of %s", b.Name, serial, b.Serial)
	}
	info, err := t.fs.Read(path.Join(dir, "info"))
	if err != nil {
		return fmt.Errorf("cannot check backstore %s: %w", b.Name, err)
	}
	if !strings.Contains(info, "UDEV PATH: "+b.Device+" ") {
		return fmt.Errorf("backstore %s is open on another device than %s", b.Name, b.Device)
	}
	return t.passDiscards(b.Name)
}

// RemoveBackstore makes LIO close the device. One that is not there is no
// error; one that is mapped is the kernel's EBUSY.
func (t *Target) RemoveBackstore(name string) error {
	if !validName(name) {
		return fmt.Errorf("%q cannot name a backstore", name)
	}
	if err := t.fs.Rmdir(path.Join(hba, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove backstore %s: %w", name, err)
	}
	return nil
}

func (t *Target) mkdir(name string) error {
	if err := t.fs.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
