// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// bound is a portal that is reached over a network device.
func bound(t *testing.T, addr, device string) openiscsi.Portal {
	t.Helper()
	p := portal(addr)
	var err error
	if p.Iface, err = openiscsi.Iface(device); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestIfacesAreNamedAfterTheirDevices(t *testing.T) {
	for _, device := range []string{"", "eth1", "br0", "bond0.107", "default", "net-eth1", "enp0s31f6", "a12345678901234"} {
		name, err := openiscsi.Iface(device)
		if err != nil {
			t.Errorf("%q: %v", device, err)
		}
		if got := (openiscsi.Portal{Iface: name}).NetDevice(); got != device {
			t.Errorf("%q is called %q, which is read as %q", device, name, got)
		}
		if (name == openiscsi.DefaultIface) != (device == "") {
			t.Errorf("%q is called %q", device, name)
		}
	}
	for _, device := range []string{";reboot", "eth1\n", "../eth1", "..", ".", "-i", "eth1 ", "a123456789012345", "eth*", "eth1:0", "é"} {
		if name, err := openiscsi.Iface(device); err == nil || !strings.Contains(err.Error(), "network device") {
			t.Errorf("%q is called %q, %v", device, name, err)
		}
	}
	if got := (openiscsi.Portal{Iface: "mallee-iface1"}).NetDevice(); got != "" {
		t.Errorf("an iface that names no device is read as %q", got)
	}
}

func TestADevicesIfaceIsThereForAsLongAsItIsUsed(t *testing.T) {
	k := newKernel(t)
	in := newInitiator(t)
	in.Sys = k.dir
	p := bound(t, "10.107.1.200:3260", "eth1")
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(in.Etc, "ifaces", "mallee-net-eth1")
	text, err := os.ReadFile(file)
	want := "iface.iscsi_ifacename = mallee-net-eth1\niface.net_ifacename = eth1\niface.transport_name = tcp\n"
	if err != nil || string(text) != want {
		t.Errorf("iface record %q, %v, want %q", text, err, want)
	}
	record, err := os.ReadFile(filepath.Join(in.Etc, "nodes", target, "10.107.1.200,3260,1", "mallee-net-eth1"))
	if err != nil || !strings.Contains(string(record), want) {
		t.Errorf("node record %q, %v, want it to hold the iface's lines", record, err)
	}
	is := func() bool {
		_, err := os.Stat(file)
		return err == nil
	}
	other := bound(t, "10.107.1.201:3260", "eth1")
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{other}, settings, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}
	if err := in.RemoveRecord(t.Context(), other); err != nil || !is() {
		t.Errorf("it is gone while a node record names it, %v", err)
	}
	k.login(1, 1, map[string]string{"ifacename": "mallee-net-eth1"}, nil)
	if err := in.RemoveRecord(t.Context(), p); err != nil || !is() {
		t.Errorf("it is gone while a session has it, %v", err)
	}
	if err := os.RemoveAll(filepath.Join(k.dir, "class")); err != nil {
		t.Fatal(err)
	}
	if err := in.RemoveUnusedIfaces(t.Context()); err != nil || is() {
		t.Errorf("it stays, %v", err)
	}
}

func TestUnusedIfacesOfOthersStay(t *testing.T) {
	in := newInitiator(t)
	if err := in.PrepareIface(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"default", "iface0", openiscsi.DefaultIface, "mallee-mine", "mallee-net-[", "mallee-net-eth1 (copy)", "net-eth1"}
	for _, name := range append([]string{"mallee-net-eth1"}, want...) {
		if err := os.WriteFile(filepath.Join(in.Etc, "ifaces", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.RemoveUnusedIfaces(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := files(t, filepath.Join(in.Etc, "ifaces"))
	if !slices.Equal(got, want) {
		t.Errorf("ifaces %q, want %q", got, want)
	}
}

func TestADeviceThatIsNotThereIsNamed(t *testing.T) {
	in := &openiscsi.Initiator{Sys: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(in.Sys, "class/net/eth1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, device := range []string{"", "eth1"} {
		if err := in.FindDevice(device); err != nil {
			t.Errorf("%q: %v", device, err)
		}
	}
	if err := in.FindDevice("eth7"); err == nil || err.Error() != "no network device eth7" {
		t.Errorf("error %v", err)
	}
}

func TestRecordsTellTheirPortals(t *testing.T) {
	in := newInitiator(t)
	zone := portal("10.107.1.200:3260")
	zone.Addr = netip.MustParseAddrPort("[fe80::1%bond0.107]:3260")
	want := []openiscsi.Portal{portal("10.107.1.200:3260"), bound(t, "[2001:db8::1]:860", "eth1"), zone}
	want[1].TPGT = 7
	for _, p := range want {
		if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, openiscsi.Secret{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, record := range []string{
		"10.107.1.200,3260,1/default", "10.107.1.200,3260/mallee-default", "san1,3260,1/mallee-default",
		"10.107.1.200,3260,x/mallee-default", "10.107.1.200,99999,1/mallee-default", "10.107.1.200,3260,1/mallee-net-",
	} {
		file := filepath.Join(in.Etc, "nodes", target, record)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := in.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddr); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
