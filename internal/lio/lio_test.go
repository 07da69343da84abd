// SPDX-License-Identifier: Apache-2.0

package lio_test

import (
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lio"
	"github.com/mallee-io/mallee/internal/lio/liotest"
)

const (
	targetIQN = mallee.IQN("iqn.2026-11.io.mallee:san")
	nc1       = mallee.IQN("iqn.2026-11.io.mallee:nc1")
	nc2       = mallee.IQN("iqn.2026-11.io.mallee:nc2")
	tpg       = "iscsi/iqn.2026-11.io.mallee:san/tpgt_1/"
)

var disk = lio.Backstore{
	Name: "vol-1a2b3c4d", Device: "/dev/mallee/vol-1a2b3c4d",
	Serial: "6d6c6c650000000001a2b3c4d0000000", Vendor: "MALLEE", Product: "volume",
}

func prepared(t *testing.T) (*lio.Target, *liotest.ConfigFS) {
	t.Helper()
	fs := liotest.New()
	return started(t, fs), fs
}

// started returns the target as a process has it that has just been started.
func started(t *testing.T, fs lio.FS) *lio.Target {
	t.Helper()
	target, err := lio.New(fs, targetIQN)
	must(t, err)
	must(t, target.Prepare([]netip.AddrPort{netip.MustParseAddrPort("10.107.1.200:3260"), netip.MustParseAddrPort("[2001:db8::1]:3260")}))
	return target
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantAttributes(t *testing.T, fs *liotest.ConfigFS, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got, err := fs.Read(name); err != nil || got != value {
			t.Errorf("%s is %q, %v; want %q", name, got, err, value)
		}
	}
}

func TestOnlyInitiatorsWithAnACLGetIn(t *testing.T) {
	target, fs := prepared(t)
	wantAttributes(t, fs, map[string]string{
		tpg + "attrib/generate_node_acls": "0", tpg + "attrib/demo_mode_discovery": "0",
		tpg + "attrib/authentication": "1", tpg + "enable": "0",
	})
	must(t, target.Enable())
	must(t, target.Enable())
	wantAttributes(t, fs, map[string]string{tpg + "enable": "1"})
	portals, err := fs.List(tpg + "np")
	must(t, err)
	if diff := gocmp.Diff([]string{"10.107.1.200:3260", "[2001:db8::1]:3260"}, portals); diff != "" {
		t.Error(diff)
	}
}

func TestMapShowsTheBackstoreWithItsIdentity(t *testing.T) {
	target, fs := prepared(t)
	m := lio.Mapping{Initiator: nc1, LUN: 7, Backstore: disk.Name}
	for range 2 { // The second time changes nothing and is no error.
		must(t, target.AddBackstore(disk))
		must(t, target.Map(m))
	}
	if diff := gocmp.Diff([]lio.Mapping{m}, target.Mappings()); diff != "" {
		t.Error(diff)
	}
	if got := shown(t, fs); !slices.Equal(got, []string{string(nc1) + " lun_7 " + disk.Name}) {
		t.Errorf("the kernel shows %v", got)
	}
	wantAttributes(t, fs, map[string]string{
		"core/iblock_7000/vol-1a2b3c4d/wwn/vendor_id":       "MALLEE",
		"core/iblock_7000/vol-1a2b3c4d/wwn/vpd_unit_serial": "T10 VPD Unit Serial Number: " + disk.Serial,
		"core/iblock_7000/vol-1a2b3c4d/attrib/emulate_tpu":  "1",
		tpg + "acls/" + string(nc1) + "/cmdsn_depth":        "512",
	})
}

func TestADeviceWithoutDiscardsIsExportedAllTheSame(t *testing.T) {
	target, fs := prepared(t)
	fs.Discards = func(string) bool { return false }
	for range 2 {
		must(t, target.AddBackstore(disk))
	}
	wantAttributes(t, fs, map[string]string{"core/iblock_7000/vol-1a2b3c4d/attrib/emulate_tpu": "0"})
}

func TestAnOpenBackstoreIsNeverSwapped(t *testing.T) {
	target, _ := prepared(t)
	must(t, target.AddBackstore(disk))
	otherDevice, otherSerial := disk, disk
	otherDevice.Device += "0"
	otherSerial.Serial = "6d6c6c650000000001a2b3c4e0000000"
	for _, other := range []lio.Backstore{otherDevice, otherSerial} {
		if target.AddBackstore(other) == nil {
			t.Errorf("%+v was accepted", other)
		}
	}
}

func TestALUNIsNeverGivenToAnotherBackstore(t *testing.T) {
	target, _ := prepared(t)
	other := disk
	other.Name, other.Device = "vol-22222222", "/dev/mallee/vol-22222222"
	must(t, target.AddBackstore(disk))
	must(t, target.AddBackstore(other))
	must(t, target.Map(lio.Mapping{Initiator: nc1, LUN: 1, Backstore: disk.Name}))
	if target.Map(lio.Mapping{Initiator: nc1, LUN: 1, Backstore: other.Name}) == nil {
		t.Error("LUN 1 was given twice")
	}
}

func TestUnmapFencesOneInitiatorAndDrains(t *testing.T) {
	target, fs := prepared(t)
	must(t, target.AddBackstore(disk))
	for _, initiator := range []mallee.IQN{nc1, nc2} {
		must(t, target.Map(lio.Mapping{Initiator: initiator, LUN: 1, Backstore: disk.Name}))
	}
	draining, drained := make(chan struct{}), make(chan struct{})
	fs.Drain = func(string) { close(draining); <-drained }
	done := make(chan error)
	go func() { done <- target.Unmap(nc1, disk.Name) }()

	<-draining
	if got, want := shown(t, fs), []string{string(nc2) + " lun_1 " + disk.Name}; !slices.Equal(got, want) {
		t.Errorf("while commands are in flight new ones can come by %v, want %v", got, want)
	}
	select {
	case err := <-done:
		t.Errorf("Unmap returned %v with commands in flight", err)
	default:
	}
	close(drained)
	must(t, <-done)
	fs.Drain = nil
	if target.RemoveBackstore(disk.Name) == nil {
		t.Error("the backstore went away under the other initiator")
	}
	must(t, target.Unmap(nc1, disk.Name))
	must(t, target.Unmap(nc2, disk.Name))
	must(t, target.RemoveBackstore(disk.Name))
	must(t, target.RemoveBackstore(disk.Name))
	if fs.Open(disk.Device) {
		t.Error("the device is still open")
	}
}

func TestABackstoreWithoutDeviceIsCompletedLater(t *testing.T) {
	target, fs := prepared(t)
	there := false
	fs.Device = func(string) bool { return there }
	if target.AddBackstore(disk) == nil {
		t.Fatal("a device that is not there was opened")
	}
	there = true
	must(t, target.AddBackstore(disk))
	must(t, target.Map(lio.Mapping{Initiator: nc1, LUN: 1, Backstore: disk.Name}))
}

func TestNamesThatLeaveTheirDirectoryAreRefused(t *testing.T) {
	target, _ := prepared(t)
	for _, name := range []string{"", ".", "..", "../x", "a/b"} {
		b := disk
		b.Name = name
		if target.AddBackstore(b) == nil || target.RemoveBackstore(name) == nil ||
			target.Map(lio.Mapping{Initiator: nc1, LUN: 1, Backstore: name}) == nil ||
			target.Unmap(mallee.IQN("iqn.2026-11.io.mallee:"+name+"/"), disk.Name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

// shown returns what the kernel shows: initiator, LUN and backstore.
func shown(t *testing.T, fs *liotest.ConfigFS) []string {
	t.Helper()
	var all []string
	acls, err := fs.List(tpg + "acls")
	must(t, err)
	for _, initiator := range acls {
		luns, err := fs.List(tpg + "acls/" + initiator)
		must(t, err)
		for _, lun := range luns {
			links, err := fs.List(tpg + "acls/" + initiator + "/" + lun)
			if err != nil {
				continue // An attribute.
			}
			for _, link := range links {
				if _, err := fs.Readlink(tpg + "acls/" + initiator + "/" + lun + "/" + link); err == nil {
					all = append(all, initiator+" "+lun+" "+link)
				}
			}
		}
	}
	return all
}
