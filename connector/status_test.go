// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

func TestStatusSaysWhichPathsAreMissingAndWhy(t *testing.T) {
	status := Status{Paths: []Path{
		{Portal: netip.MustParseAddrPort("10.107.1.200:3260"), State: PathUp, Disk: "sdb"},
		{Portal: netip.MustParseAddrPort("10.107.1.201:3260"), State: PathJoining, Disk: "sdc", Reason: "proving its identity"},
		{Portal: netip.MustParseAddrPort("[2001:db8::1]:3260"), State: PathMissing, Reason: "login timed out"},
	}}
	if got := status.Up(); got != 1 {
		t.Errorf("%d paths are up, want 1", got)
	}
	want := "1 of 3 paths up; 10.107.1.201:3260 joining: proving its identity; [2001:db8::1]:3260 missing: login timed out"
	if got := status.incomplete().Error(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := (Status{}).incomplete().Error(), "0 of 0 paths up"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInUseErrorNamesTheUsers(t *testing.T) {
	err := &InUseError{Device: "/dev/mallee/vol-1a2b3c4d", Users: []string{"mount /mnt", "process 812 (fio)"}}
	if got, want := err.Error(), "/dev/mallee/vol-1a2b3c4d is in use by mount /mnt, process 812 (fio)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err.Users = nil
	if got, want := err.Error(), "/dev/mallee/vol-1a2b3c4d is in use"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVolumesAreChecked(t *testing.T) {
	good := Volume{Name: "vol-1a2b3c4d", WWID: "360014056d6c6c650123456789abcdef0"}
	for _, test := range []struct {
		name   string
		change func(*Volume)
		want   string // in the error; empty for none
	}{
		{"as it should be", func(*Volume) {}, ""},
		{"an identity of eight bytes", func(v *Volume) { v.WWID = "35000c500a1b2c3d4" }, ""},
		{"no name", func(v *Volume) { v.Name = "" }, "no name"},
		{"a name that is a path", func(v *Volume) { v.Name = "../sda" }, "no name"},
		{"a hidden name", func(v *Volume) { v.Name = ".." }, "no name"},
		{"a name of two lines", func(v *Volume) { v.Name = "a\n" }, "no name"},
		{"a name beyond reason", func(v *Volume) { v.Name = strings.Repeat("a", 65) }, "no name"},
		{"no identity", func(v *Volume) { v.WWID = "" }, "no WWID"},
		{"an identity in upper case", func(v *Volume) { v.WWID = strings.ToUpper(v.WWID) }, "no WWID"},
		{"an identity without its 3", func(v *Volume) { v.WWID = v.WWID[1:] }, "no WWID"},
		{"an alias", func(v *Volume) { v.WWID = "mpatha" }, "no WWID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := good
			test.change(&v)
			err := v.check()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if test.want == "" {
				return
			}
			// Refused before anything is looked at.
			c := New(Options{Directory: t.TempDir()})
			if _, repairErr := c.Repair(t.Context(), v); repairErr == nil || repairErr.Error() != err.Error() {
				t.Errorf("Repair says %v", repairErr)
			}
			if detachErr := c.Detach(t.Context(), v); detachErr == nil || detachErr.Error() != err.Error() {
				t.Errorf("Detach says %v", detachErr)
			}
		})
	}
}

func TestSessionsAreFoundByExactAddress(t *testing.T) {
	portal := func(target, addr, iface string) openiscsi.Portal {
		return openiscsi.Portal{Target: target, Addr: netip.MustParseAddrPort(addr), TPGT: 1, Iface: iface}
	}
	const target, iface = "iqn.2026-11.io.mallee:san", openiscsi.DefaultIface
	sessions := []openiscsi.Session{
		{ID: 1, Portal: portal(target, "10.1.1.10:3260", iface)},
		{ID: 2, Portal: portal(target+"2", "10.1.1.1:3260", iface)},
		{ID: 3, Portal: portal(target, "10.1.1.1:3261", iface)},
		{ID: 4, Portal: portal(target, "10.1.1.1:3260", "mallee-iface1")},
		{ID: 5, Portal: portal(target, "10.1.1.1:3260", iface)},
	}
	for i, s := range sessions {
		got, ok := findSession(sessions, s.Portal)
		if !ok || got.ID != s.ID {
			t.Errorf("found session %d, want %d", got.ID, s.ID)
		}
		if got, ok := findSession(slices.Delete(slices.Clone(sessions), i, i+1), s.Portal); ok {
			t.Errorf("found session %d in the place of %d", got.ID, s.ID)
		}
	}
}
