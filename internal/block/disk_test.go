// SPDX-License-Identifier: Apache-2.0

package block_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/block"
)

// machine is a tree laid out as sysfs, /proc and /dev show block devices.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	return machine{t, t.TempDir()}
}

func (m machine) devices() block.Devices {
	return block.Devices{Sys: filepath.Join(m.dir, "sys"), Dev: filepath.Join(m.dir, "dev"), Proc: filepath.Join(m.dir, "proc")}
}

func (m machine) write(file, content string) {
	m.t.Helper()
	file = filepath.Join(m.dir, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// link makes a relative link, as all of sysfs are.
func (m machine) link(file, target string) {
	m.t.Helper()
	file = filepath.Join(m.dir, file)
	relative, err := filepath.Rel(filepath.Dir(file), filepath.Join(m.dir, target))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.Symlink(relative, file)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// session shows a session of an iSCSI host.
func (m machine) session(id, host int) {
	base := fmt.Sprintf("sys/devices/platform/host%d/session%d", host, id)
	class := fmt.Sprintf("%s/iscsi_session/session%d", base, id)
	m.write(class+"/state", "LOGGED_IN\n")
	m.link(class+"/device", base)
	m.link(fmt.Sprintf("sys/class/iscsi_session/session%d", id), class)
}

// disk shows a SCSI disk of a session.
func (m machine) disk(name string, session, host, lun int, state string) {
	device := fmt.Sprintf("sys/devices/platform/host%d/session%d/target%d:0:0/%d:0:0:%d", host, session, host, host, lun)
	m.write(device+"/state", state+"\n")
	m.write(device+"/delete", "")
	m.write(device+"/block/"+name+"/size", "2097152\n")
	m.write(device+"/block/"+name+"/dev", "8:16\n")
	m.link(device+"/block/"+name+"/device", device)
	for _, class := range []string{"sys/block/", "sys/class/block/"} {
		m.link(class+name, device+"/block/"+name)
	}
}

func TestSessionDisks(t *testing.T) {
	m := newMachine(t)
	m.session(1, 2)
	m.session(11, 3) // begins with the other's number
	m.disk("sdb", 1, 2, 5, "running")
	m.disk("sdc", 1, 2, 300, "transport-offline")
	m.disk("sdd", 11, 3, 5, "running")
	m.write("sys/block/sdb/holders/dm-0/dm/uuid", "mpath-360014056d6c6c650123456789abcdef0\n")
	m.write("sys/devices/platform/host2/session1/target2:0:0/2:0:0:5/wwid", "naa.60014056d6c6c650123456789abcdef0\n")
	m.write("sys/devices/platform/host2/session1/target2:0:0/2:0:0:300/wwid", "t10.ATA something\n")
	// Not yet a disk, and a LUN that is none.
	m.write("sys/devices/platform/host2/session1/target2:0:0/2:0:0:7/state", "created\n")
	if err := os.MkdirAll(filepath.Join(m.dir, "sys/devices/platform/host2/session1/target2:0:0/2:0:0:8/block"), 0o755); err != nil {
		t.Fatal(err)
	}

	got, err := m.devices().SessionDisks(1)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b block.Disk) int { return int(a.LUN) - int(b.LUN) })
	want := []block.Disk{
		{Name: "sdb", LUN: 5, WWID: "360014056d6c6c650123456789abcdef0", Map: "dm-0", MapUUID: "mpath-360014056d6c6c650123456789abcdef0", SizeBytes: 1 << 30, Major: 8, Minor: 16},
		{Name: "sdc", LUN: 300, SizeBytes: 1 << 30, Major: 8, Minor: 16},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got, err := m.devices().SessionDisks(99); err != nil || len(got) != 0 {
		t.Errorf("a session that is not there has %v, %v", got, err)
	}
}

func TestScanLUNLooksForOneLUN(t *testing.T) {
	m := newMachine(t)
	m.write("sys/class/scsi_host/host2/scan", "")
	if err := m.devices().ScanLUN(2, 5); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(m.dir, "sys/class/scsi_host/host2/scan")); string(got) != "0 0 5" {
		t.Errorf("wrote %q", got)
	}
	if err := m.devices().ScanLUN(3, 5); err == nil {
		t.Error("a host that is not there was scanned")
	}
}

func TestRescan(t *testing.T) {
	m := newMachine(t)
	m.session(1, 2)
	m.disk("sdb", 1, 2, 5, "running")
	m.write("sys/devices/platform/host2/session1/target2:0:0/2:0:0:5/rescan", "")
	if err := m.devices().Rescan("sdb"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(m.dir, "sys/block/sdb/device/rescan")); string(got) != "1" {
		t.Errorf("wrote %q", got)
	}
	if err := m.devices().Rescan("sdx"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a disk that is gone: %v", err)
	}
}

func TestSizeBytes(t *testing.T) {
	m := newMachine(t)
	for content, want := range map[string]uint64{"2097152\n": 1 << 30, "0\n": 0, "1\n": 512} {
		m.write("sys/class/block/dm-0/size", content)
		if got, err := m.devices().SizeBytes("dm-0"); err != nil || got != want {
			t.Errorf("of %q: %d, %v, want %d", content, got, err, want)
		}
	}
	for _, content := range []string{"", "-1\n", "many\n", "18446744073709551615\n"} {
		m.write("sys/class/block/dm-0/size", content)
		if got, err := m.devices().SizeBytes("dm-0"); err == nil {
			t.Errorf("of %q: %d and no error", content, got)
		}
	}
	if _, err := m.devices().SizeBytes("dm-1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a device that is gone: %v", err)
	}
}

func TestDeleteDisk(t *testing.T) {
	m := newMachine(t)
	m.session(1, 2)
	m.disk("sdb", 1, 2, 5, "running")
	m.session(3, 4)
	wrote := func() string {
		got, _ := os.ReadFile(filepath.Join(m.dir, "sys/block/sdb/device/delete"))
		return string(got)
	}
	for what, gone := range map[string]struct {
		session int
		disk    block.Disk
	}{
		"name":    {1, block.Disk{Name: "sdx", LUN: 5}},
		"LUN":     {1, block.Disk{Name: "sdb", LUN: 6}},
		"disk":    {3, block.Disk{Name: "sdb", LUN: 5}},
		"session": {5, block.Disk{Name: "sdb", LUN: 5}},
	} {
		if err := m.devices().DeleteDisk(gone.session, gone.disk); err != nil || wrote() != "" {
			t.Errorf("of another %s: %v, wrote %q", what, err, wrote())
		}
	}
	if err := m.devices().DeleteDisk(1, block.Disk{Name: "sdb", LUN: 5}); err != nil || wrote() != "1" {
		t.Errorf("%v, wrote %q", err, wrote())
	}
}

func TestPartitions(t *testing.T) {
	m := newMachine(t)
	m.session(1, 2)
	m.disk("sda", 1, 2, 5, "running")
	m.disk("sdaa", 1, 2, 6, "running")
	m.write("sys/block/sda/sda1/partition", "1\n")
	m.write("sys/block/sda/sda12/partition", "12\n")
	m.write("sys/block/sdaa/sdaa1/partition", "1\n")
	got, err := m.devices().Partitions("sda")
	if want := []string{"sda1", "sda12"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("partitions %q, %v, want %q", got, err, want)
	}
	if got, err := m.devices().Partitions("sdx"); err != nil || len(got) != 0 {
		t.Errorf("a disk that is gone has %q, %v", got, err)
	}
	// Without any the device is not even opened.
	if err := m.devices().ForgetPartitions("sdx"); err != nil {
		t.Errorf("nothing to forget: %v", err)
	}
}

func TestInFlightCountsReadsAndWrites(t *testing.T) {
	m := newMachine(t)
	m.write("sys/block/sdb/inflight", "       2        3\n")
	if n, err := m.devices().InFlight("sdb"); n != 5 || err != nil {
		t.Errorf("%d, %v, want 5", n, err)
	}
	if n, err := m.devices().InFlight("sdx"); n != 0 || err != nil {
		t.Errorf("a disk that is gone: %d, %v", n, err)
	}
	m.write("sys/block/sdc/inflight", "many\n")
	if _, err := m.devices().InFlight("sdc"); err == nil {
		t.Error("no error for what is no number")
	}
}

func TestUsersNamesWhoHasADeviceOpen(t *testing.T) {
	m := newMachine(t)
	m.write("sys/class/block/dm-0/dev", "254:0\n")
	m.write("sys/class/block/dm-0/holders/dm-3", "")
	m.write("proc/self/mountinfo", "22 1 254:1 / / rw - ext4 /dev/dm-1 rw\n35 22 254:0 / /mnt/data rw,relatime - ext4 /dev/dm-0 rw\n")
	m.link("proc/812/fd/3", "dev/null") // open, and no block device
	m.write("dev/null", "")
	got := m.devices().Users("dm-0")
	if want := []string{"device dm-3", "mount /mnt/data"}; !slices.Equal(got, want) {
		t.Errorf("users %q, want %q", got, want)
	}
	if got := m.devices().Users("dm-9"); len(got) != 0 {
		t.Errorf("a device that is gone is used by %q", got)
	}
}

// What was read once is believed for as long as it is the same disk.
func TestKnownDisksAreReadAgainWhenAnotherHasCome(t *testing.T) {
	m := newMachine(t)
	m.session(1, 2)
	m.disk("sdb", 1, 2, 5, "running")
	const dir = "sys/devices/platform/host2/session1/target2:0:0/2:0:0:5"
	m.write(dir+"/wwid", "naa.60014056d6c6c650123456789abcdef0\n")
	known := block.KnownDevices{Devices: m.devices()}
	look := func() []block.Disk {
		t.Helper()
		disks, err := known.SessionDisks(1)
		if err != nil {
			t.Fatal(err)
		}
		return disks
	}
	const was, is = "360014056d6c6c650123456789abcdef0", "360014056d6c6c65fffffffffffffff0"
	if got := look(); len(got) != 1 || got[0].WWID != was {
		t.Fatalf("%+v", got)
	}
	// The same disk: what changes is read, what it was found as is not.
	m.write(dir+"/wwid", "naa."+is[1:]+"\n")
	m.write(dir+"/block/sdb/size", "4194304\n")
	m.write(dir+"/block/sdb/holders/dm-3/dm/uuid", "mpath-"+was+"\n")
	if got := look(); got[0].WWID != was || got[0].SizeBytes != 2<<30 || got[0].Map != "dm-3" || got[0].MapUUID != "mpath-"+was {
		t.Errorf("%+v", got)
	}
	// Another one of the same name, at the same LUN.
	if err := os.Rename(filepath.Join(m.dir, dir, "block/sdb"), filepath.Join(m.dir, "gone")); err != nil {
		t.Fatal(err)
	}
	if got := look(); len(got) != 0 {
		t.Errorf("a disk that is gone: %+v", got)
	}
	m.write(dir+"/block/sdb/size", "2097152\n")
	m.write(dir+"/block/sdb/dev", "8:32\n")
	if got := look(); len(got) != 1 || got[0].WWID != is || got[0].Minor != 32 || got[0].Map != "" {
		t.Errorf("%+v", got)
	}
}
