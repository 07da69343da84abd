// SPDX-License-Identifier: Apache-2.0

package block

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/sysfs"
)

// Disk is a SCSI disk that a session carries.
type Disk struct {
	Name string // "sdb"
	LUN  uint64
	// WWID is the identity that the disk had when the kernel found it, as
	// Devices.WWID writes it; empty if that was no NAA identity. It tells what the
	// disk was taken for. What it is now, only a live INQUIRY tells.
	WWID string
	// Serial is the unit serial number that the disk had then; empty if it had none.
	// Two with one WWID and different serial numbers are different.
	Serial string
	// Map is the device-mapper device that holds the disk, "dm-0", or empty, and
	// MapUUID is that one's UUID, which not all have.
	Map, MapUUID string
	// SizeBytes is what the kernel takes the disk for; Rescan makes it ask.
	SizeBytes uint64
	// Major and Minor are the device's number, by which a map's table names it.
	Major, Minor uint32
}

// SessionDisks returns the disks of an iSCSI session, found below the session
// itself and not by host number, which the kernel gives anew.
func (d Devices) SessionDisks(session int) ([]Disk, error) {
	dirs, err := d.sessionDirs(session)
	if err != nil {
		return nil, err
	}
	var disks []Disk
	for _, dir := range dirs {
		disk, err := readDisk(dir)
		if gone(err) {
			continue // not a disk, not yet one, or going
		}
		if err != nil {
			return nil, err
		}
		disks = append(disks, disk)
	}
	return disks, nil
}

// sessionDirs returns the directories of a session's SCSI devices.
func (d Devices) sessionDirs(session int) ([]string, error) {
	return filepath.Glob(d.sys("class", "iscsi_session", fmt.Sprintf("session%d", session), "device", "target*", "*:*:*:*"))
}

// SessionDisk returns the disk at a LUN of an iSCSI session; found is false if
// there is none, or if it cannot be opened yet: sysfs shows a device before there is
// a file of it in /dev (drivers/base/core.c, device_add), and its uevent comes last.
// It costs the same however many others the session has.
func (d Devices) SessionDisk(session int, lun uint64) (disk Disk, found bool, err error) {
	dir, err := d.lunDir(session, lun)
	if err == nil {
		disk, err = readDisk(dir)
	}
	if err == nil {
		err = unix.Access(d.dev(disk.Name), unix.F_OK)
	}
	switch {
	case gone(err):
		return Disk{}, false, nil
	case err != nil:
		return Disk{}, false, err
	}
	return disk, true, nil
}

// lunDir returns the directory of the SCSI device that a LUN of a session has, if it
// has one.
func (d Devices) lunDir(session int, lun uint64) (string, error) {
	dir := d.sys("class", "iscsi_session", fmt.Sprintf("session%d", session), "device")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		// host:channel:target. A session has no more than one.
		if address, ok := strings.CutPrefix(e.Name(), "target"); ok {
			return filepath.Join(dir, e.Name(), fmt.Sprintf("%s:%d", address, lun)), nil
		}
	}
	return "", fs.ErrNotExist
}

func readDisk(dir string) (Disk, error) {
	// host:channel:target:LUN
	part := strings.Split(filepath.Base(dir), ":")
	lun, err := strconv.ParseUint(part[3], 10, 64)
	if err != nil {
		return Disk{}, fmt.Errorf("%s is no SCSI address", dir)
	}
	names, err := os.ReadDir(filepath.Join(dir, "block"))
	if err != nil {
		return Disk{}, err
	}
	if len(names) == 0 {
		return Disk{}, fs.ErrNotExist
	}
	disk := Disk{Name: names[0].Name(), LUN: lun}
	// "naa." and the digits (drivers/scsi/scsi_lib.c, scsi_vpd_lun_id).
	wwid, _ := sysfs.Read(filepath.Join(dir, "wwid"))
	if digits, ok := strings.CutPrefix(wwid, "naa."); ok {
		disk.WWID = "3" + digits
	}
	page, _ := os.ReadFile(filepath.Join(dir, "vpd_pg80"))
	disk.Serial = parseSerial(page)
	number, err := sysfs.Read(filepath.Join(dir, "block", disk.Name, "dev"))
	if err != nil {
		return Disk{}, err
	}
	if _, err := fmt.Sscanf(number, "%d:%d", &disk.Major, &disk.Minor); err != nil {
		return Disk{}, fmt.Errorf("cannot read the device number of %s: %w", disk.Name, err)
	}
	return disk, disk.readChanging(dir)
}

// readChanging reads what of a disk changes while it is there.
func (d *Disk) readChanging(dir string) (err error) {
	dir = filepath.Join(dir, "block", d.Name)
	if d.SizeBytes, err = readSize(dir); err != nil {
		return err
	}
	d.Map, d.MapUUID = "", ""
	holders, _ := os.ReadDir(filepath.Join(dir, "holders"))
	for _, h := range holders {
		if !strings.HasPrefix(h.Name(), "dm-") {
			continue
		}
		uuid, err := sysfs.Read(filepath.Join(dir, "holders", h.Name(), "dm", "uuid"))
		if err == nil { // it is not just going
			d.Map, d.MapUUID = h.Name(), uuid
		}
	}
	return nil
}

// ScanLUN makes the kernel look for one LUN on one SCSI host, and returns when
// it has looked. It may block for as long as the target does not answer.
func (d Devices) ScanLUN(host int, lun uint64) error {
	file := d.sys("class", "scsi_host", fmt.Sprintf("host%d", host), "scan")
	// Channel and target of an iSCSI session are always 0
	// (drivers/scsi/scsi_transport_iscsi.c, iscsi_user_scan_session).
	if err := sysfs.Write(file, fmt.Sprintf("0 0 %d", lun)); err != nil {
		return fmt.Errorf("cannot scan LUN %d on host%d: %w", lun, host, err)
	}
	return nil
}

// Rescan makes the kernel ask a disk for its size, and returns when it has asked.
// It may block for as long as the target does not answer; a disk that cannot be
// asked keeps the size that it has, without an error.
func (d Devices) Rescan(name string) error {
	if err := sysfs.Write(d.sys("block", name, "device", "rescan"), "1"); err != nil {
		return fmt.Errorf("cannot rescan %s: %w", name, err)
	}
	return nil
}

// DeleteDisk makes the kernel forget a disk of a session. One that is gone is success,
// also if another has its name or its LUN by now: the kernel is told all three at once,
// as the file that it is written to.
func (d Devices) DeleteDisk(session int, disk Disk) error {
	dir, err := d.lunDir(session, disk.LUN)
	if err == nil {
		err = sysfs.Write(filepath.Join(dir, "block", disk.Name, "device", "delete"), "1")
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("cannot remove %s: %w", disk.Name, err)
	}
	return nil
}

// InFlight returns how many requests to a disk have not ended. One that is gone
// has none.
func (d Devices) InFlight(name string) (int, error) {
	// Reads and writes (block/genhd.c, part_inflight_show).
	text, err := os.ReadFile(d.sys("block", name, "inflight"))
	if gone(err) {
		return 0, nil
	}
	var reads, writes int
	if err == nil {
		_, err = fmt.Sscan(string(text), &reads, &writes)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot tell what is in flight on %s: %w", name, err)
	}
	return reads + writes, nil
}

// Announce has the kernel tell udev of a disk once more (a "change" event), so
// that udev's rules read the disk's identity anew. One that is gone is success.
func (d Devices) Announce(name string) error {
	// drivers/base/core.c, uevent_store.
	err := sysfs.Write(d.sys("block", name, "uevent"), "change")
	if err != nil && !gone(err) {
		return fmt.Errorf("cannot announce %s to udev: %w", name, err)
	}
	return nil
}

// gone reports whether err is that of a device that is not there or just going:
// sysfs then answers ENODEV (fs/kernfs/file.c; drivers/scsi/scsi_sysfs.c,
// sdev_store_delete).
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

// Partitions returns the names of the partitions that the kernel has made of a disk.
func (d Devices) Partitions(name string) ([]string, error) {
	found, err := filepath.Glob(d.sys("block", name, name+"*", "partition"))
	if err != nil {
		return nil, err
	}
	for i, file := range found {
		found[i] = filepath.Base(filepath.Dir(file))
	}
	return found, nil
}
