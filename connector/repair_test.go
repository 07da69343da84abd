// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

const wwid = "360014056d6c6c650123456789abcdef0"

var compareAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func vol() Volume {
	return Volume{
		Name: "vol-1a2b3c4d", WWID: wwid, Target: target, LUN: 5,
		Portals: []Portal{{Addr: netip.MustParseAddrPort("10.107.1.200:3260"), TPGT: 1}},
	}
}

// machine is a Connector on a tree of its own, with a multipathd, a device mapper and
// disks that say what the test makes them say. Logins fail.
type machine struct {
	*Connector
	t   *testing.T
	dir string

	mu      sync.Mutex
	maps    string            // what multipathd says
	kernel  map[string]string // the kernel's maps: UUID to name
	resizes int               // how often multipathd was asked to resize a map
	heard   []string          // what multipathd was told
	answers map[string]string // what a disk answers when it is asked who it is
	fail    func()            // what happens to I/O that waits when queueing ends
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	c, _ := newConnector(t)
	m := &machine{Connector: c, t: t, dir: iscsi(c).Etc}
	tree := diskTree(c)
	iscsi(c).Sys, tree.Sys, tree.Dev = m.dir, m.dir, filepath.Join(m.dir, "dev")
	c.allowed = &multipath.Allowed{File: filepath.Join(m.dir, "wwids")}
	daemonOf(c).Socket = filepath.Join(m.dir, "socket")
	m.kernel, m.answers = map[string]string{}, map[string]string{}
	c.maps = &playedMaps{list: m.list, remove: m.remove}
	tree.inquire = func(disk string, _ time.Duration) (string, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if answer, ok := m.answers[disk]; ok {
			return answer, nil
		}
		return "", fmt.Errorf("cannot ask %s for its identity", disk)
	}
	m.say(`{"maps": []}`)
	for _, name := range []string{"dm-0", "dm-4"} {
		m.write("class/block/"+name+"/size", sectors)
	}
	serveMultipathd(t, daemonOf(c).Socket, m.answer)
	return m
}

// is makes a disk answer with an identity from now on.
func (m *machine) is(disk, wwid string) {
	m.mu.Lock()
	m.answers[disk] = wwid
	m.mu.Unlock()
}

// has makes the kernel have a map of that WWID, or none for "".
func (m *machine) has(wwid, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kernel, "mpath-"+wwid)
	if name != "" {
		m.kernel["mpath-"+wwid] = name
	}
}

// deleted reports whether the kernel was told to forget a disk.
func (m *machine) deleted(disk string) bool {
	text, _ := os.ReadFile(filepath.Join(m.dir, "block", disk, "device", "delete"))
	return string(text) == "1"
}

// say sets the answer to "show maps json".
func (m *machine) say(maps string) {
	m.mu.Lock()
	m.maps = maps
	m.mu.Unlock()
}

func (m *machine) answer(command string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, command)
	switch {
	case strings.HasPrefix(command, "resize map "):
		return m.resize(strings.TrimPrefix(command, "resize map "))
	case strings.Contains(command, "queueing map "):
		if m.fail != nil && strings.HasPrefix(command, "disable") {
			m.fail()
		}
		return "ok\n"
	}
	return m.maps
}

var pathForm = regexp.MustCompile(`"dev": "(sd[a-z])", "dm_st": "([a-z]+)"`)

// list returns the kernel's maps, with the paths that multipathd tells of.
func (m *machine) list() []dm.Map {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []dm.Map
	for uuid, name := range m.kernel {
		found := dm.Map{Device: dm.Device{Name: name, Alias: "mpatha", UUID: uuid}}
		if strings.Contains(m.maps, strings.TrimPrefix(uuid, "mpath-")) {
			for _, p := range pathForm.FindAllStringSubmatch(m.maps, -1) {
				n := numberOf(p[1])
				found.Paths = append(found.Paths, dm.Path{Major: n.Major, Minor: n.Minor, Active: p[2] == "active"})
			}
		}
		list = append(list, found)
	}
	return list
}

func (m *machine) remove(uuid string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.kernel[uuid]; !ok {
		return dm.ErrNotFound
	}
	delete(m.kernel, uuid)
	return nil
}

// asked returns how often multipathd was told something that begins so.
func (m *machine) asked(begin string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, command := range m.heard {
		if strings.HasPrefix(command, begin) {
			n++
		}
	}
	return n
}

// resize does what multipathd and the kernel do: the map becomes as large as its
// first disk is, and nothing at all when another disk is smaller. m is locked.
func (m *machine) resize(name string) string {
	m.resizes++
	read := func(device string) (n uint64) {
		text, err := os.ReadFile(filepath.Join(m.dir, "class/block", device, "size"))
		if _, scanErr := fmt.Sscan(string(text), &n); err != nil || scanErr != nil {
			m.t.Errorf("no size of %s: %v, %v", device, err, scanErr)
		}
		return n
	}
	var first uint64
	for _, match := range regexp.MustCompile(`"dev": "(sd[a-z])"`).FindAllStringSubmatch(m.maps, -1) {
		size := read(match[1])
		if first == 0 {
			first = size
		}
		if size < first {
			return "fail\n"
		}
	}
	m.write("class/block/"+name+"/size", fmt.Sprint(first))
	return "ok\n"
}

const sectors = "2097152" // 1 GiB

func (m *machine) write(file, content string) {
	m.t.Helper()
	file = filepath.Join(m.dir, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content+"\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// session shows session 1 to vol's portal, on host 2, with the LUN as sdb.
func (m *machine) session(state string) {
	m.t.Helper()
	const base = "devices/platform/host2/session1"
	for file, content := range map[string]string{
		"iscsi_session/session1/ifacename":                    openiscsi.DefaultIface,
		"iscsi_session/session1/targetname":                   target,
		"iscsi_session/session1/tpgt":                         "1",
		"iscsi_session/session1/state":                        state,
		"connection1:0/iscsi_connection/c/persistent_address": "10.107.1.200",
		"connection1:0/iscsi_connection/c/persistent_port":    "3260",
		"target2:0:0/2:0:0:5/block/sdb/device/delete":         "",
		"target2:0:0/2:0:0:5/block/sdb/holders/dm-0/dm/uuid":  "mpath-" + wwid,
		"target2:0:0/2:0:0:5/block/sdb/device/rescan":         "",
		"target2:0:0/2:0:0:5/block/sdb/size":                  sectors,
		"target2:0:0/2:0:0:5/block/sdb/dev":                   "8:16",
		"target2:0:0/2:0:0:5/wwid":                            "naa." + wwid[1:],
	} {
		m.write(filepath.Join(base, file), content)
	}
	m.write("dev/sdb", "no SCSI disk")
	for link, to := range map[string]string{
		"class/iscsi_session/session1":          base + "/iscsi_session/session1",
		"class/iscsi_connection/connection1:0":  base + "/connection1:0/iscsi_connection/c",
		base + "/iscsi_session/session1/device": base,
		"block/sdb":                             base + "/target2:0:0/2:0:0:5/block/sdb",
		"class/block/sdb":                       base + "/target2:0:0/2:0:0:5/block/sdb",
		"dev/block/8:16":                        base + "/target2:0:0/2:0:0:5/block/sdb",
	} {
		link = filepath.Join(m.dir, link)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(m.dir, to), link); err != nil {
			m.t.Fatal(err)
		}
	}
}

// mapOf is multipathd's word about one map of one path that is well.
func mapOf(wwid, device, disk string) string {
	return fmt.Sprintf(`{"maps": [{"uuid": %q, "name": "mpatha", "sysfs": %q, "path_groups": [
		{"paths": [{"dev": %q, "dm_st": "active", "dev_st": "running", "chk_st": "ready"}]}]}]}`, wwid, device, disk)
}

// repair takes a step, waits for what it has started, and takes another.
func (m *machine) repair(v Volume) Status {
	m.t.Helper()
	if _, err := m.Repair(m.t.Context(), v); err != nil {
		m.t.Fatal(err)
	}
	settle(m.Connector)
	status, err := m.Repair(m.t.Context(), v)
	if err != nil {
		m.t.Fatal(err)
	}
	return status
}

func TestEachExpectedPathIsAccountedFor(t *testing.T) {
	m := newMachine(t)
	v := vol()
	v.Portals = append(v.Portals, Portal{Addr: netip.MustParseAddrPort("[2001:db8::1]:3260"), TPGT: 1})
	first, err := m.Repair(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	want := Status{Paths: []Path{
		{Portal: v.Portals[0].Addr, State: PathMissing, Reason: "logging in"},
		{Portal: v.Portals[1].Addr, State: PathMissing, Reason: "logging in"},
	}}
	if diff := cmp.Diff(want, first, compareAddr); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// multipathd, as it is set up by default, makes a map of what is in this file, and
	// nobody has proved yet that there is anything to make it of.
	if text, _ := os.ReadFile(wwidsOf(m.Connector).File); len(text) > 0 {
		t.Errorf("file of WWIDs holds %q", text)
	}
}

func TestALostSessionIsAPathThatIsDown(t *testing.T) {
	m := newMachine(t)
	m.session("FAILED")
	m.say(mapOf(wwid, "dm-0", "sdb")) // multipathd has not yet looked
	status, err := m.Repair(t.Context(), vol())
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Paths[0]; got.State != PathDown || got.Disk != "sdb" || !strings.Contains(got.Reason, "session is lost") {
		t.Errorf("path %+v", got)
	}
}

func TestASessionThatIsBeingLoggedInToIsNotLost(t *testing.T) {
	m := newMachine(t)
	m.session("FREE")
	p := portal("10.107.1.200:3260")
	m.logins[p] = &login{cancel: func() {}}
	defer delete(m.logins, p)
	status, err := m.Repair(t.Context(), vol())
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Paths[0]; got.State != PathMissing || got.Reason != "logging in" {
		t.Errorf("path %+v", got)
	}
}

// Identity comes before access: that multipathd is content proves nothing.
func TestAPathThatHasNotProvedItsIdentityIsNotUsed(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	first, err := m.Repair(t.Context(), vol())
	if err != nil {
		t.Fatal(err)
	}
	if first.Up() != 0 || first.Ready || first.Device != "" {
		t.Errorf("before the proof: %+v", first)
	}
	status := m.repair(vol())
	if got := status.Paths[0]; got.State != PathDown || !strings.Contains(got.Reason, "cannot ask sdb for its identity") {
		t.Errorf("path %+v", got)
	}
	if status.Ready || status.Device != "" || m.linked(vol(), "dm-0") {
		t.Errorf("the device is handed out: %+v", status)
	}
}

// A device that was handed out keeps its name while it has no path, and loses it
// with its map: the kernel gives the number to the next one.
func TestADeviceKeepsItsNameForAsLongAsItsMap(t *testing.T) {
	m := newMachine(t)
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	if err := m.link(vol(), "dm-0"); err != nil {
		t.Fatal(err)
	}
	status := m.repair(vol())
	if status.Device != m.file(vol()) || status.Map != "dm-0" || status.Ready {
		t.Errorf("without a path: %+v", status)
	}
	// multipathd tells of no map while it starts. The kernel has it.
	m.say(`{"maps": []}`)
	if status := m.repair(vol()); status.Device != m.file(vol()) || !m.linked(vol(), "dm-0") {
		t.Errorf("while multipathd starts: %+v", status)
	}
	// Made anew, with another number, and nothing has proved itself yet.
	m.has(wwid, "dm-4")
	if status := m.repair(vol()); status.Device != "" || m.linked(vol(), "dm-0") {
		t.Errorf("the name leads to what was the map: %+v", status)
	}
	if err := m.link(vol(), "dm-0"); err != nil {
		t.Fatal(err)
	}
	m.has(wwid, "")
	status, err := m.Repair(t.Context(), vol())
	if err != nil {
		t.Fatal(err)
	}
	if status.Device != "" || status.Map != "" || m.linked(vol(), "dm-0") {
		t.Errorf("the name now leads to another's map: %+v", status)
	}
}

func TestRepairTellsWhenNobodyCanLook(t *testing.T) {
	m := newMachine(t)
	daemonOf(m.Connector).Socket += "-nobody"
	if _, err := m.Repair(t.Context(), vol()); !errors.Is(err, multipath.ErrNotRunning) {
		t.Errorf("error %v, want that multipathd does not run", err)
	}
}

func TestALoginWaitsForTheLogout(t *testing.T) {
	m := newMachine(t)
	m.leaving[anyGroup(portal("10.107.1.200:3260"))] = true
	status, err := m.Repair(t.Context(), vol())
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Paths[0]; got.State != PathMissing || !strings.Contains(got.Reason, "logged out") || len(m.logins) != 0 {
		t.Errorf("%+v, logins %v", got, m.logins)
	}
}

func TestAVerifiedPathHandsTheDeviceOut(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	if status := m.repair(vol()); !status.Ready || status.Up() != 1 || !m.linked(vol(), "dm-0") {
		t.Errorf("%+v", status)
	}
	// After a loss the disk has to prove itself anew, whatever it was before.
	m.write("devices/platform/host2/session1/iscsi_session/session1/state", "FAILED")
	if _, err := m.Repair(t.Context(), vol()); err != nil {
		t.Fatal(err)
	}
	m.write("devices/platform/host2/session1/iscsi_session/session1/state", "LOGGED_IN")
	m.is("sdb", other)
	status := m.repair(vol())
	if got := status.Paths[0]; got.State != PathQuarantined || !strings.Contains(got.Reason, other) {
		t.Errorf("path %+v", got)
	}
	if !m.deleted("sdb") {
		t.Error("the disk of another identity stays")
	}
}

const other = "360014056d6c6c650fffffffffffffff0"

// The LUN of a disk in the map has become another's: the export names another
// LUN by now, so the disk is none of the expected paths.
func TestADiskInTheMapThatLiesIsRemoved(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", other)
	m.write("class/scsi_host/host2/scan", "")
	v := vol()
	v.LUN = 6
	for !m.deleted("sdb") {
		m.repair(v)
	}
}

// A proof is of one attachment: the next one on the same session starts with none.
func TestDetachForgetsProofs(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	if status := m.repair(vol()); !status.Ready {
		t.Fatalf("%+v", status)
	}
	state := m.volume(wwid)
	if err := state.probes.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, err := m.Repair(t.Context(), vol())
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Paths[0].State; got != PathJoining {
		t.Errorf("the first look after a detach says %s", got)
	}
}

func TestADetachWaitsForLooks(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	hung := make(chan struct{})
	diskTree(m.Connector).inquire = func(string, time.Duration) (string, error) {
		<-hung
		return "", errors.New("timed out")
	}
	if _, err := m.Repair(t.Context(), vol()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	state := m.volume(wwid)
	if err := state.probes.close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v while a look hangs", err)
	}
	close(hung)
	if err := state.probes.close(t.Context()); err != nil {
		t.Errorf("error %v after it has ended", err)
	}
}

// udev that looked at a disk while its path was dead knows no identity of it,
// and multipathd, which goes by udev, refuses the disk ever after.
func TestADiskThatMultipathdKeepsRefusingIsShownToUdevAnew(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.is("sdb", wwid)
	uevent := filepath.Join(m.dir, "block", "sdb", "uevent")
	m.write("block/sdb/uevent", "")
	m.leave("sdb")
	m.has(wwid, "dm-0") // of other paths
	m.repair(vol())
	for refusal := range refusals {
		if text, _ := os.ReadFile(uevent); string(text) == "change" {
			t.Fatalf("udev is bothered after %d refusals", refusal)
		}
		m.volume(wwid).probes.postpone(1, time.Time{}) // its time has come
		status, err := m.Repair(t.Context(), vol())
		if err != nil {
			t.Fatal(err)
		}
		if got := status.Paths[0]; got.State != PathJoining || !strings.Contains(got.Reason, "refused") {
			t.Fatalf("path %+v", got)
		}
	}
	if text, _ := os.ReadFile(uevent); string(text) != "change" {
		t.Errorf("after %d refusals udev was told %q", refusals, text)
	}
}
