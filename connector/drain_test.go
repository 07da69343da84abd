// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const (
	a1 = "10.107.1.200:3260"
	a2 = "10.107.1.201:3260"
	b1 = "10.108.1.200:3260"
	b2 = "10.108.1.201:3260"
)

// guard fails the test when a path that carries I/O leaves the map, or is deleted,
// so that fewer than least others are left.
func (k *kernel) guard(least int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leaving = func(d *fakeDisk) {
		left := k.usable(d)
		if d.inMap && (left == 0 || left < least && k.alive(d.session)) {
			k.t.Errorf("%s of %s leaves the map: %d usable paths are left, want %d", d.name, d.session.portal, left, max(1, least))
		}
	}
}

// attach brings v up.
func (k *kernel) attach(c *Connector, v Volume) {
	k.t.Helper()
	if s := k.run(c, v, 8); s.Up() != len(v.Portals) || !s.Ready {
		k.t.Errorf("not attached: %q", shown(s))
	}
}

// up is how paths look that are.
func up(paths ...string) []string {
	for i := range paths {
		paths[i] += " up"
	}
	return paths
}

func TestPathsChangeUnderAVolume(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to []string
		dead     []string // of those in to
		least    int
		want     []string // how the paths are in the end
		sessions []string // unless as many as there are paths
	}{
		{"from two to four", []string{a1, b1}, []string{a1, a2, b1, b2}, nil, 2, up(a1, a2, b1, b2), nil},
		{"to two others", []string{a1, b1}, []string{a2, b2}, nil, 2, up(a2, b2), nil},
		{"from four to one", []string{a1, a2, b1, b2}, []string{b2}, nil, 1, up(b2), nil},
		{"to one other", []string{a1, a2, b1}, []string{b2}, nil, 1, up(b2), nil},
		{"to another device", []string{"eth1:" + a1, "eth1:" + a2}, []string{"eth3:" + a1, "eth3:" + a2}, nil, 2, up("eth3:"+a1, "eth3:"+a2), nil},
		{"to IPv6", []string{a1, b1}, []string{"[fd00::1]:3260", "eth1:[fe80::1]:3260"}, nil, 2, up("[fd00::1]:3260", "eth1:[fe80::1]:3260"), nil},
		{"one of the new is dead", []string{a1, b1}, []string{a2, b2}, []string{b2}, 2, []string{
			a2 + " up", b2 + " missing: login to " + b2 + ": login timed out",
			b1 + " draining: kept until more of the new paths can be used: without it 1 would be usable of 2 that have to be",
		}, []string{"mallee-default " + a2, "mallee-default " + b1}},
		{"all of the new are dead", []string{a1, b1}, []string{a2, b2}, []string{a2, b2}, 2, []string{
			a2 + " missing: login to " + a2 + ": login timed out", b2 + " missing: login to " + b2 + ": login timed out",
			a1 + " draining: kept: none of the new paths can be used yet", b1 + " draining: kept: none of the new paths can be used yet",
		}, []string{"mallee-default " + a1, "mallee-default " + b1}},
		{"to none", []string{a1}, nil, nil, 1, []string{a1 + " draining: kept: none of the new paths can be used yet"}, []string{"mallee-default " + a1}},
		{"to a device that is not there", []string{a1}, []string{a1, "eth7:" + a2}, nil, 1, []string{
			a1 + " up", "eth7:" + a2 + " missing: no network device eth7",
		}, []string{"mallee-default " + a1}},
		{"to what is no device", []string{a1, b1}, []string{a1, "eth;reboot:" + a2}, nil, 2, []string{
			a1 + " up", "eth;reboot:" + a2 + ` missing: "eth;reboot" is no name of a network device: it must be 1 to 15 letters, digits, '.', '_' or '-', a letter or digit first`,
			b1 + " draining: kept until more of the new paths can be used: without it 1 would be usable of 2 that have to be",
		}, []string{"mallee-default " + a1, "mallee-default " + b1}},
	} {
		for _, restart := range []bool{false, true} {
			name := test.name
			if restart {
				name += ", with a restart in the middle"
			}
			t.Run(name, func(t *testing.T) {
				k := newKernel(t)
				synctest.Test(t, func(t *testing.T) {
					c := k.connector()
					k.attach(c, through(test.from...))
					k.guard(test.least)
					k.fail(true, test.dead...)
					v := through(test.to...)
					if restart {
						k.run(c, v, 1)
						c = k.connector()
					}
					status := k.run(c, v, 16)
					if diff := cmp.Diff(test.want, shown(status)); diff != "" {
						t.Errorf("paths (-want +got)\n%s", diff)
					}
					if settled := test.sessions == nil; settled && !status.Settled() || !status.Ready || !c.linked(v, "dm-0") {
						t.Errorf("settled %t, ready %t, linked %t", status.Settled(), status.Ready, c.linked(v, "dm-0"))
					}
					if got := k.loggedIn(); test.sessions != nil && !slices.Equal(got, test.sessions) || test.sessions == nil && len(got) != len(v.Portals) {
						t.Errorf("sessions %q", got)
					}
				})
			})
		}
	}
}

// A path that is expected and that nobody can name yet is no reason to drain one.
func TestAPathWhosePortalIsNotKnownKeepsItsPlace(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		k.attach(c, through(a1, b1))
		k.guard(2)
		v := through(b1)
		v.Expected = 2 // a1 is a name that cannot be resolved now
		status := k.run(c, v, 10)
		want := []string{b1 + " up", a1 + " draining: kept until more of the new paths can be used: without it 1 would be usable of 2 that have to be"}
		if diff := cmp.Diff(want, shown(status)); diff != "" {
			t.Errorf("paths (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(up(a1, b1), shown(k.run(c, through(a1, b1), 2))); diff != "" {
			t.Errorf("known again (-want +got)\n%s", diff)
		}
	})
}

// A path that hangs leaves the map once nothing of it is in flight: the map would
// be suspended for as long.
func TestAPathThatHangsDoesNotHoldUpTheDevice(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		k.attach(c, through(a1, b1))
		inFlight := func(n string) {
			k.mu.Lock()
			defer k.mu.Unlock()
			for _, d := range k.disks() {
				if d.session.portal == a1 {
					k.write(d.dir()+"/inflight", n)
				}
			}
		}
		inFlight("0 3")
		k.fail(true, a1)
		want := []string{
			b1 + " up", a1 + " draining: waits until what is in flight on it has failed: the whole device would wait for that",
		}
		if diff := cmp.Diff(want, shown(k.run(c, through(b1), 8))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		inFlight("0 0")
		if diff := cmp.Diff(up(b1), shown(k.run(c, through(b1), 8))); diff != "" {
			t.Errorf("when it has failed (-want +got)\n%s", diff)
		}
	})
}

// Paths that were down when the portals changed count once they are back.
func TestPathsThatComeBackAreKeptForThoseThatAreDead(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		k.attach(c, through(a1, b1))
		k.fail(true, a1, a2, b1, b2)
		k.run(c, through(a1, b1), 8)
		v := through(a2, b2)
		k.run(c, v, 2)
		k.fail(false, a1, b1)
		k.run(c, v, 8)
		k.guard(2)
		k.fail(false, a2)
		status := k.run(c, v, 60)
		if got := shown(status); len(got) != 3 || got[0] != a2+" up" || !strings.HasPrefix(got[2], b1+" draining: kept until") {
			t.Errorf("paths %q, want one of the old beside the one that is new", got)
		}
	})
}

// Fewer paths than MinPaths keep a device from being handed out, and take none
// away.
func TestMinPathsIsForTheHandOut(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		v := through(a1, b1)
		v.MinPaths = 2
		k.fail(true, b1)
		status := k.run(c, v, 10)
		if status.Up() != 0 || status.Ready || status.Map != "" || c.linked(v, "dm-0") || !strings.Contains(status.Paths[0].Reason, "made of 2 verified") {
			t.Errorf("with one of two: %+v", status)
		}
		k.fail(false, b1)
		if status := k.run(c, v, 40); status.Up() != 2 || !status.Ready || status.Device == "" || !c.linked(v, "dm-0") {
			t.Errorf("with both: %+v", status)
		}
		k.fail(true, a1)
		if status := k.run(c, v, 3); status.Up() != 1 || status.Ready || status.Device == "" || !c.linked(v, "dm-0") {
			t.Errorf("later, with one: %+v", status)
		}
		// The other list is dead, and what is left drains: the device stays all the same.
		k.fail(true, a2, b2)
		v.Portals = through(a2, b2).Portals
		if status := k.run(c, v, 3); status.Up() != 0 || status.Ready || status.Device == "" || !c.linked(v, "dm-0") {
			t.Errorf("with a path that drains: %+v", status)
		}
	})
}

// What a change leaves behind goes with the last path that used it.
func TestWhatDrainedPathsLeaveIsRemoved(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		k.attach(c, through("eth1:"+a1, b1))
		k.run(c, through("eth3:"+a1, b2), 10)
		want := []string{"mallee-default " + b2, "mallee-net-eth3 " + a1}
		if got := k.loggedIn(); !slices.Equal(got, want) {
			t.Errorf("sessions %q, want %q", got, want)
		}
		records, err := filepath.Glob(filepath.Join(k.dir, "iscsi/*/*/*/*"))
		if err != nil || len(records) != 2 {
			t.Errorf("node records %q, %v", records, err)
		}
		ifaces, err := os.ReadDir(filepath.Join(k.dir, "iscsi/ifaces"))
		if err != nil || len(ifaces) != 1 || ifaces[0].Name() != "mallee-net-eth3" {
			t.Errorf("iface records %v, %v", ifaces, err)
		}
		if !c.LoggedIn("eth3", netip.MustParseAddrPort(a1)) || c.LoggedIn("eth1", netip.MustParseAddrPort(a1)) ||
			c.LoggedIn("", netip.MustParseAddrPort(a1)) || !c.LoggedIn("", netip.MustParseAddrPort(b2)) ||
			c.LoggedIn("", netip.MustParseAddrPort("10.108.1.20:3260")) {
			t.Error("LoggedIn does not tell which sessions there are")
		}
	})
}

// Sessions to 10.107.1.20 beside 10.107.1.2, of one target; and to it over IPv6,
// by somebody else.
func TestASessionIsOfItsExactPortal(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		const two, twenty = "10.107.1.2:3260", "10.107.1.20:3260"
		k.mu.Lock()
		k.find(k.logIn(target, "[fd00::1]:3260", "default"))
		k.find(k.logIn(target, two, "iface0"))
		k.mu.Unlock()
		k.attach(c, through(twenty))
		k.attach(c, through(two, twenty))
		status := k.run(c, through(two), 10)
		if diff := cmp.Diff(up(two), shown(status)); diff != "" {
			t.Errorf("paths (-want +got)\n%s", diff)
		}
		want := []string{"default [fd00::1]:3260", "iface0 " + two, "mallee-default " + two}
		if got := k.loggedIn(); !slices.Equal(got, want) {
			t.Errorf("sessions %q, want %q", got, want)
		}
	})
}

// A path that has left the map is put back when it turns out to be needed.
func TestADrainedPathComesBackWhenTheNewOnesFail(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		k.attach(c, through(a1))
		k.mu.Lock()
		k.leaving = func(d *fakeDisk) {
			if d.session.portal == a1 {
				k.write(d.dir()+"/inflight", "0 1") // it takes a while
			}
		}
		k.mu.Unlock()
		status := k.run(c, through(b1), 3)
		if k.mu.Lock(); k.usable(nil) != 1 {
			t.Errorf("the old path has not left the map: %q", shown(status))
		}
		k.mu.Unlock()
		k.fail(true, b1)
		status = k.run(c, through(b1), 20)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.usable(nil) != 1 {
			t.Errorf("no path is usable: %q", shown(status))
		}
		if !status.Ready || status.Device == "" {
			t.Errorf("the device is not handed out any more: %+v", status)
		}
	})
}

// A device that goes takes its sessions with it; the path tells why.
func TestADeviceThatGoesIsNamed(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		v := through("eth1:"+a1, b1)
		k.attach(c, v)
		k.remove("class/net/eth1")
		k.fail(true, a1)
		want := []string{"eth1:" + a1 + " down: the session is lost: no network device eth1", b1 + " up"}
		if diff := cmp.Diff(want, shown(k.run(c, v, 3))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestMultipathdMayTakeADiskBack(t *testing.T) {
	k := newKernel(t)
	synctest.Test(t, func(t *testing.T) {
		c := k.connector()
		k.attach(c, through(a1, b1))
		k.guard(2)
		k.mu.Lock()
		k.takesBack = true
		for _, d := range k.disks() {
			k.write(d.dir()+"/inflight", "1 0") // long enough for it
		}
		k.mu.Unlock()
		var status Status
		told := false
		for range 40 {
			status = k.run(c, through(a2, b2), 1)
			told = told || strings.Contains(strings.Join(shown(status), "\n"), "multipathd has it in a map again")
		}
		k.mu.Lock()
		if k.usable(nil) < 3 || status.Settled() || !told {
			t.Errorf("%d paths, told: %t, %q", k.usable(nil), told, shown(status))
		}
		k.takesBack = false
		for _, d := range k.disks() {
			k.write(d.dir()+"/inflight", "0 0")
		}
		k.mu.Unlock()
		if status = k.run(c, through(a2, b2), 30); !status.Settled() {
			t.Errorf("%q", shown(status))
		}
	})
}

// A disk that the kernel does not let go holds up neither the calls nor the paths.
func TestARemovalThatHangsHoldsUpNobody(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.second("LOGGED_IN")
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	m.is("sdc", wwid)
	m.say(pathsOf(`{"dev": "sdb", "dm_st": "active", "chk_st": "ready"}`))
	file := filepath.Join(m.dir, "block/sdc/device/delete")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	m.write("block/sdc/inflight", "0 0")
	if _, err := m.Repair(t.Context(), vol()); err != nil {
		t.Fatal(err)
	}
	for {
		status, err := m.Repair(t.Context(), vol())
		if err != nil {
			t.Fatal(err)
		}
		if m.volume(wwid).drain.busy() {
			break
		}
		if status.Settled() {
			t.Fatalf("%q", shown(status))
		}
		<-time.After(time.Millisecond)
	}
	status, err := m.Repair(t.Context(), vol())
	if err != nil || status.Up() != 1 || status.Settled() || status.Paths[1].Reason != "being removed" {
		t.Errorf("%q, %v", shown(status), err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "1" { // the kernel goes on
		t.Errorf("%q, %v", text, err)
	}
}

// A disk at the volume's LUN that is in another map is somebody else's.
func TestADiskInAnotherMapIsNotDrained(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.second("LOGGED_IN")
	m.has(wwid, "dm-4")
	m.is("sdb", wwid)
	m.say(mapOf(wwid, "dm-4", "sdc"))
	m.write("block/sdc/holders/dm-4/dm/uuid", "mpath-"+wwid)
	v := vol()
	v.Portals = []Portal{secondPortal} // sdb is in dm-0
	for range 3 {
		if status := m.repair(v); len(status.Paths) != 1 {
			t.Errorf("%q", shown(status))
		}
	}
	if m.deleted("sdb") {
		t.Error("it was removed")
	}
}
