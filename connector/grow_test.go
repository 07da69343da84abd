// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const gib = 1 << 30

// attached returns a machine with vol attached over sdb, of 1 GiB.
func attached(t *testing.T) (*machine, Volume) {
	t.Helper()
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	v := vol()
	v.SizeBytes = gib
	if status := m.repair(v); !status.Ready || status.SizeBytes != gib || status.Growth != "" {
		t.Fatalf("%+v", status)
	}
	return m, v
}

// size makes the kernel take a device for that large.
func (m *machine) size(device string, bytes int64) {
	m.write("class/block/"+device+"/size", fmt.Sprint(bytes/512))
}

// rescanned reports whether the kernel was told to ask a disk for its size.
func (m *machine) rescanned(disk string) bool {
	text, _ := os.ReadFile(filepath.Join(m.dir, "block", disk, "device", "rescan"))
	return string(text) == "1"
}

// later lets the next look at each disk be due.
func (m *machine) later() {
	state := m.volume(wwid)
	state.probes.mu.Lock()
	defer state.probes.mu.Unlock()
	for _, p := range state.probes.session {
		p.at = p.at.Add(-time.Minute)
	}
	for _, p := range state.probes.stray {
		p.at = p.at.Add(-time.Minute)
	}
}

func TestADeviceGrowsAfterItsDisks(t *testing.T) {
	m, v := attached(t)
	if m.rescanned("sdb") {
		t.Error("a disk that is large enough was asked for its size")
	}
	v.SizeBytes = 2 * gib
	// At once, not when the proof of identity is due again.
	status := m.repair(v)
	if !m.rescanned("sdb") {
		t.Fatal("the disk was not asked for its size")
	}
	if want := "the device has 1073741824 bytes and shall have 2147483648: sdb has 1073741824"; status.Growth != want || m.resizes > 0 {
		t.Errorf("before the disk has grown: %q, %d resizes, want %q", status.Growth, m.resizes, want)
	}
	if !status.Ready || status.Up() != 1 || status.SizeBytes != gib {
		t.Errorf("a volume that grows is not as usable as before: %+v", status)
	}
	m.size("sdb", 2*gib)
	m.later()
	if status = m.repair(v); status.SizeBytes != 2*gib || status.Growth != "" || m.resizes != 1 {
		t.Errorf("%+v, %d resizes", status, m.resizes)
	}
	if status = m.repair(v); status.SizeBytes != 2*gib || m.resizes != 1 {
		t.Errorf("again: %+v, %d resizes", status, m.resizes)
	}
}

// All is found out from the machine: whoever comes after a kill goes on.
func TestAnotherProcessGoesOnGrowing(t *testing.T) {
	m, v := attached(t)
	v.SizeBytes = 2 * gib
	m.size("sdb", 2*gib)
	m.volumes = map[string]*volume{} // as after a restart
	if status := m.repair(v); status.SizeBytes != 2*gib || m.rescanned("sdb") {
		t.Errorf("%+v, asked for a size that is known: %t", status, m.rescanned("sdb"))
	}
}

func TestADeviceNeverShrinks(t *testing.T) {
	m, v := attached(t)
	for _, size := range []uint64{gib / 2, 0} {
		v.SizeBytes = size
		if status := m.repair(v); status.SizeBytes != gib || status.Growth != "" || m.resizes != 0 || m.rescanned("sdb") {
			t.Errorf("shall have %d: %+v, %d resizes", size, status, m.resizes)
		}
	}
}

// With a map longer than a disk of it the kernel refuses the table, and
// multipathd has then stopped the I/O for nothing.
func TestADeviceWaitsForItsLastDisk(t *testing.T) {
	m, v := attached(t)
	v.SizeBytes = 2 * gib
	m.size("sdb", 2*gib)
	m.size("sdc", gib) // not ours, but in the map
	if err := os.MkdirAll(filepath.Join(m.dir, "dev/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../class/block/sdc", filepath.Join(m.dir, "dev/block/8:32")); err != nil {
		t.Fatal(err)
	}
	m.say(pathsOf(`{"dev": "sdb", "dm_st": "active", "chk_st": "ready"}`, `{"dev": "sdc", "dm_st": "active", "chk_st": "ready"}`))
	if status := m.repair(v); !strings.HasSuffix(status.Growth, ": sdc has 1073741824") || m.resizes != 0 {
		t.Errorf("%+v, %d resizes", status, m.resizes)
	}
	m.size("sdc", 2*gib)
	if status := m.repair(v); status.SizeBytes != 2*gib || m.resizes != 1 {
		t.Errorf("%+v, %d resizes", status, m.resizes)
	}
}

// pathsOf is multipathd's word about vol's map.
func pathsOf(paths ...string) string {
	return fmt.Sprintf(`{"maps": [{"uuid": %q, "name": "mpatha", "sysfs": "dm-0", "path_groups": [{"paths": [%s]}]}]}`,
		wwid, strings.Join(paths, ", "))
}

// secondPortal is that of session 2.
var secondPortal = Portal{Addr: netip.MustParseAddrPort("10.107.1.201:3260"), TPGT: 1}

// second shows session 2, to a portal that is not one of vol's, with the LUN as sdc.
func (m *machine) second(state string) {
	m.t.Helper()
	m.write("dev/sdc", "no SCSI disk")
	const base = "devices/platform/host3/session2"
	for file, content := range map[string]string{
		"iscsi_session/session2/ifacename":                    "mallee-default",
		"iscsi_session/session2/targetname":                   target,
		"iscsi_session/session2/tpgt":                         "1",
		"iscsi_session/session2/state":                        state,
		"connection2:0/iscsi_connection/c/persistent_address": "10.107.1.201",
		"connection2:0/iscsi_connection/c/persistent_port":    "3260",
		"target3:0:0/3:0:0:5/wwid":                            "naa." + wwid[1:],
		"target3:0:0/3:0:0:5/block/sdc/size":                  sectors,
		"target3:0:0/3:0:0:5/block/sdc/dev":                   "8:32",
		"target3:0:0/3:0:0:5/block/sdc/device/delete":         "",
		"target3:0:0/3:0:0:5/block/sdc/device/rescan":         "",
	} {
		m.write(filepath.Join(base, file), content)
	}
	for link, to := range map[string]string{
		"class/iscsi_session/session2":          base + "/iscsi_session/session2",
		"class/iscsi_connection/connection2:0":  base + "/connection2:0/iscsi_connection/c",
		base + "/iscsi_session/session2/device": base,
		"block/sdc":                             base + "/target3:0:0/3:0:0:5/block/sdc",
		"class/block/sdc":                       base + "/target3:0:0/3:0:0:5/block/sdc",
		"dev/block/8:32":                        base + "/target3:0:0/3:0:0:5/block/sdc",
	} {
		if err := os.Symlink(filepath.Join(m.dir, to), filepath.Join(m.dir, link)); err != nil {
			m.t.Fatal(err)
		}
	}
}

func TestADiskWhosePathIsDownDoesNotHoldUpTheGrowth(t *testing.T) {
	for _, test := range []struct {
		name    string
		up      string // what multipathd says of sdb, which has grown
		down    string // and of sdc, which has not
		state   string // of sdc's session
		removed bool
	}{
		{"its session is lost", "active", "failed", "FAILED", true},
		{"it does not answer", "active", "failed", "LOGGED_IN", true},
		{"it is up", "active", "active", "LOGGED_IN", false},
		{"there is no other", "failed", "failed", "FAILED", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, v := attached(t)
			v.Portals = append(v.Portals, secondPortal)
			m.second(test.state)
			m.is("sdc", wwid)
			m.say(pathsOf(fmt.Sprintf(`{"dev": "sdb", "dm_st": %q, "chk_st": "ready"}`, test.up),
				fmt.Sprintf(`{"dev": "sdc", "dm_st": %q, "chk_st": "faulty"}`, test.down)))
			v.SizeBytes = 2 * gib
			m.size("sdb", 2*gib)
			status := m.repair(v)
			if m.resizes != 0 || status.Growth == "" {
				t.Errorf("%+v, %d resizes", status, m.resizes)
			}
			settle(m.Connector)
			if m.deleted("sdc") != test.removed || m.deleted("sdb") {
				t.Errorf("removed: sdc %t, want %t; sdb %t", m.deleted("sdc"), test.removed, m.deleted("sdb"))
			}
			if !test.removed {
				return
			}
			m.say(mapOf(wwid, "dm-0", "sdb"))
			if status := m.repair(v); status.SizeBytes != 2*gib {
				t.Errorf("without it: %+v", status)
			}
		})
	}
}

// A disk of a portal that is no longer expected stays in the map until another has
// taken its place, and so has to grow with it.
func TestADiskThatIsNoLongerExpectedIsMeasuredToo(t *testing.T) {
	m, v := attached(t)
	m.second("LOGGED_IN")
	m.is("sdc", wwid)
	m.say(pathsOf(`{"dev": "sdb", "dm_st": "active", "chk_st": "ready"}`, `{"dev": "sdc", "dm_st": "active", "chk_st": "ready"}`))
	m.volumes = map[string]*volume{} // as after a restart: two paths are usable
	v.Expected = 2
	v.SizeBytes = 2 * gib
	m.size("sdb", 2*gib)
	m.repair(v)
	if !m.rescanned("sdc") {
		t.Error("it was not asked for its size")
	}
}

// I/O that waits for a path would fail: multipathd suspends the map without
// keeping what is queued.
func TestADeviceWithoutAPathDoesNotGrow(t *testing.T) {
	m, v := attached(t)
	m.write("devices/platform/host2/session1/iscsi_session/session1/state", "FAILED")
	m.say(pathsOf(`{"dev": "sdb", "dm_st": "failed", "chk_st": "faulty"}`))
	v.SizeBytes = 2 * gib
	m.size("sdb", 2*gib)
	status := m.repair(v)
	if !strings.HasSuffix(status.Growth, ": no path is up") || m.resizes != 0 || m.deleted("sdb") {
		t.Errorf("%+v, %d resizes, removed: %t", status, m.resizes, m.deleted("sdb"))
	}
	if status.Device == "" {
		t.Error("the device has lost its name")
	}
}

// A path that was away while the volume grew comes back with its old size.
func TestADiskThatJoinsLateIsMeasured(t *testing.T) {
	m, v := attached(t)
	m.size("dm-0", 2*gib)
	m.say(pathsOf()) // multipathd refuses a disk of another size
	v.SizeBytes = 2 * gib
	status := m.repair(v)
	if got := status.Paths[0]; !m.rescanned("sdb") || got.State != PathJoining || !strings.Contains(got.Reason, "has 1073741824 bytes") {
		t.Errorf("%+v, asked for its size: %t", got, m.rescanned("sdb"))
	}
}
