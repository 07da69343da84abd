// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
)

// kernel plays iscsid, the kernel and multipathd on a tree of files. What it was
// told through files happens in step, what it was told through multipathd's
// socket at once. It outlives the Connectors that are started on it.
type kernel struct {
	t   testing.TB
	dir string

	mu       sync.Mutex
	luns     map[uint64]string // WWID of each
	dead     map[string]bool   // portals that do not answer
	sessions map[int]*fakeSession
	last     int // number of a session
	seen     int // lines of what iscsiadm was told

	takesBack bool                 // multipathd adds again what it was told to forget
	leaving   func(disk *fakeDisk) // is called before a disk leaves the map, or is deleted
}

type fakeSession struct {
	id     int
	target string
	portal string // "10.107.1.200:3260"
	iface  string
	disks  []*fakeDisk
}

// fakeDisk is a path to the LUN of its session's target.
type fakeDisk struct {
	name    string
	wwid    string
	session *fakeSession
	inMap   bool
	told    bool // multipathd was told to forget it
	back    bool // multipathd takes it back at the next step
}

// iscsiadm writes down what it is told to do, and fails for a portal that is dead.
const iscsiadm = `#!/bin/sh
echo "$*" >>DIR/iscsi/seen
if [ "$2" = session ]; then exit 0; fi
if [ "$5" = -p ]; then [ ! -e "DIR/iscsi/dead/$6" ] || exit 8; exit 0; fi
code=0
for record in DIR/iscsi/nodes/"$4"/*/"$6"; do
	portal=${record%/*}; portal=${portal##*/}
	address=${portal%%,*}; rest=${portal#*,}; port=${rest%,*}; group=${rest#*,}
	if [ -e "DIR/iscsi/dead/$address:$port,$group" ]; then
		echo "iscsiadm: Could not login to [iface: $6, target: $4, portal: $address,$port]." >&2
		echo "iscsiadm: initiator reported error (8 - connection timed out)" >&2
		code=8
	else
		echo "Login to [iface: $6, target: $4, portal: $address,$port] successful."
	fi
done
exit $code
`

func newKernel(t testing.TB) *kernel {
	t.Helper()
	k := &kernel{
		t: t, dir: t.TempDir(), luns: map[uint64]string{5: wwid}, dead: map[string]bool{}, sessions: map[int]*fakeSession{},
	}
	k.write("class/block/dm-0/size", sectors)
	k.write("iscsi/dead/none", "")
	k.write("iscsi/seen", "")
	k.write("class/net/eth1/mtu", "1500")
	k.write("class/net/eth3/mtu", "1500")
	script := strings.ReplaceAll(iscsiadm, "DIR", k.dir)
	if err := os.WriteFile(filepath.Join(k.dir, "iscsiadm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	serveMultipathd(t, filepath.Join(k.dir, "socket"), k.answer)
	return k
}

// connector starts a process on k, as after a restart.
func (k *kernel) connector() *Connector {
	c := New(Options{Log: slog.New(slog.DiscardHandler), Directory: filepath.Join(k.dir, "mallee")})
	in := iscsi(c)
	in.Run = command.Runner{Path: []string{k.dir}}
	in.Sys, in.Etc, in.Lock = k.dir, filepath.Join(k.dir, "iscsi"), filepath.Join(k.dir, "lock")
	tree := &playedDisks{Devices: block.Devices{Sys: k.dir, Dev: filepath.Join(k.dir, "dev")}}
	c.disks, c.devices = tree, tree
	c.allowed = &multipath.Allowed{File: filepath.Join(k.dir, "wwids")}
	c.daemon = &multipath.Client{Socket: filepath.Join(k.dir, "socket")}
	c.maps = &playedMaps{list: k.maps, create: k.make}
	tree.inquire = func(disk string, _ time.Duration) (string, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, d := range k.disks() {
			if d.name == disk && k.alive(d.session) {
				return d.wwid, nil
			}
		}
		return "", fmt.Errorf("cannot ask %s for its identity", disk)
	}
	return c
}

// maps returns the map, if any disk is in it.
func (k *kernel) maps() []dm.Map {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := dm.Map{Device: dm.Device{Name: "dm-0", Alias: "mpatha", UUID: "mpath-" + wwid}}
	for _, d := range k.disks() {
		if d.inMap {
			n := numberOf(d.name)
			m.Paths = append(m.Paths, dm.Path{Major: n.Major, Minor: n.Minor, Active: k.alive(d.session)})
		}
	}
	if len(m.Paths) == 0 {
		return nil
	}
	return []dm.Map{m}
}

// make makes the map.
func (k *kernel) make(s dm.Spec) (dm.Device, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.disks() {
		if slices.Contains(s.Paths, numberOf(d.name)) {
			k.adopt(d)
		}
	}
	return dm.Device{Name: "dm-0", Alias: s.Name, UUID: s.UUID}, nil
}

func (k *kernel) write(file, content string) {
	k.t.Helper()
	file = filepath.Join(k.dir, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		k.t.Error(err)
	}
	if err := os.WriteFile(file, []byte(content+"\n"), 0o600); err != nil {
		k.t.Error(err)
	}
}

// read returns what was written to a file, and empties it.
func (k *kernel) take(file string) string {
	file = filepath.Join(k.dir, file)
	text, err := os.ReadFile(file)
	if err == nil && len(text) > 0 {
		err = os.Truncate(file, 0)
	}
	if err != nil {
		k.t.Error(err)
	}
	return strings.TrimSpace(string(text))
}

func (k *kernel) link(link, to string) {
	link = filepath.Join(k.dir, link)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		k.t.Error(err)
	}
	if err := os.Symlink(filepath.Join(k.dir, to), link); err != nil {
		k.t.Error(err)
	}
}

func (k *kernel) remove(files ...string) {
	for _, file := range files {
		if err := os.RemoveAll(filepath.Join(k.dir, file)); err != nil {
			k.t.Error(err)
		}
	}
}

// disks returns all, in the order of their names. k is locked, here and below.
func (k *kernel) disks() []*fakeDisk {
	var list []*fakeDisk
	for _, s := range k.sessions {
		list = append(list, s.disks...)
	}
	slices.SortFunc(list, func(a, b *fakeDisk) int { return strings.Compare(a.name, b.name) })
	return list
}

func (k *kernel) alive(s *fakeSession) bool { return !k.dead[s.portal] }

// usable returns how many paths in the map carry I/O, but for one.
func (k *kernel) usable(but *fakeDisk) int {
	n := 0
	for _, d := range k.disks() {
		if d.inMap && k.alive(d.session) && d != but {
			n++
		}
	}
	return n
}

func (s *fakeSession) dir() string {
	return fmt.Sprintf("devices/platform/host%d/session%d", s.id, s.id)
}

func (d *fakeDisk) dir() string {
	return fmt.Sprintf("%s/target%d:0:0/%d:0:0:5/block/%s", d.session.dir(), d.session.id, d.session.id, d.name)
}

// logIn makes a session, unless there is one like it.
func (k *kernel) logIn(target, portal, iface string) *fakeSession {
	for _, s := range k.sessions {
		if s.target == target && s.portal == portal && s.iface == iface {
			return s
		}
	}
	k.last++
	s := &fakeSession{id: k.last, target: target, portal: portal, iface: iface}
	k.sessions[s.id] = s
	addr := netip.MustParseAddrPort(portal)
	base, name := s.dir(), fmt.Sprintf("session%d", s.id)
	for file, content := range map[string]string{
		"iscsi_session/" + name + "/ifacename":             iface,
		"iscsi_session/" + name + "/targetname":            target,
		"iscsi_session/" + name + "/tpgt":                  "1",
		"connection/iscsi_connection/c/persistent_address": addr.Addr().String(),
		"connection/iscsi_connection/c/persistent_port":    fmt.Sprint(addr.Port()),
	} {
		k.write(filepath.Join(base, file), content)
	}
	k.link("class/iscsi_session/"+name, base+"/iscsi_session/"+name)
	k.link(fmt.Sprintf("class/iscsi_connection/connection%d:0", s.id), base+"/connection/iscsi_connection/c")
	k.link(base+"/iscsi_session/"+name+"/device", base)
	k.write(fmt.Sprintf("class/scsi_host/host%d/scan", s.id), "")
	k.showState(s)
	return s
}

func (k *kernel) answerLogin(target, portal, iface string) {
	if !k.dead[portal] {
		k.logIn(target, portal, iface)
	}
}

func (k *kernel) showState(s *fakeSession) {
	state := "LOGGED_IN"
	if !k.alive(s) {
		state = "FAILED"
	}
	k.write(fmt.Sprintf("%s/iscsi_session/session%d/state", s.dir(), s.id), state)
}

func (k *kernel) logOut(s *fakeSession) {
	for _, d := range s.disks {
		k.t.Errorf("logged out from %s while it carries %s", s.portal, d.name)
		k.remove("block/"+d.name, "class/block/"+d.name)
	}
	k.remove(fmt.Sprintf("class/iscsi_session/session%d", s.id), fmt.Sprintf("class/iscsi_connection/connection%d:0", s.id),
		fmt.Sprintf("class/scsi_host/host%d", s.id), s.dir())
	delete(k.sessions, s.id)
}

// find makes the disk of a session's LUN.
func (k *kernel) find(s *fakeSession) *fakeDisk {
	d := &fakeDisk{session: s, wwid: k.luns[5]}
	taken := map[string]bool{}
	for _, other := range k.disks() {
		taken[other.name] = true
	}
	for letter := 'b'; d.name == "" || taken[d.name]; letter++ {
		d.name = "sd" + string(letter)
	}
	s.disks = append(s.disks, d)
	k.write(d.dir()+"/device/delete", "")
	k.write(d.dir()+"/device/rescan", "")
	k.write(d.dir()+"/holders/none", "")
	k.write(d.dir()+"/inflight", "0 0")
	k.write(d.dir()+"/uevent", "")
	k.write(d.dir()+"/size", sectors)
	k.write("dev/"+d.name, "no SCSI disk")
	k.write(d.dir()+"/dev", numberOf(d.name).String())
	k.write(filepath.Dir(filepath.Dir(d.dir()))+"/wwid", "naa."+d.wwid[1:])
	k.link("block/"+d.name, d.dir())
	k.link("class/block/"+d.name, d.dir())
	k.remove("dev/block/" + numberOf(d.name).String())
	k.link("dev/block/"+numberOf(d.name).String(), d.dir())
	return d
}

func (k *kernel) adopt(d *fakeDisk) {
	d.inMap, d.back = true, false
	k.write(d.dir()+"/holders/dm-0/dm/uuid", "mpath-"+d.wwid)
}

func (k *kernel) release(d *fakeDisk) {
	if k.leaving != nil {
		k.leaving(d)
	}
	d.inMap = false
	k.remove(d.dir() + "/holders/dm-0")
}

// step lets happen what was asked for. It returns whether anything has.
func (k *kernel) step() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := os.ReadFile(filepath.Join(k.dir, "iscsi/seen"))
	if err != nil {
		k.t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if lines[0] == "" {
		lines = nil
	}
	happened := len(lines) > k.seen
	for _, line := range lines[k.seen:] {
		field := strings.Fields(line)
		if field[1] == "session" {
			for _, s := range k.sessions {
				if strconv.Itoa(s.id) == field[3] {
					k.logOut(s)
				}
			}
			continue
		}
		if field[4] == "-p" {
			portal, _, _ := strings.Cut(field[5], ",")
			k.answerLogin(field[3], portal, field[7])
			continue
		}
		records, _ := filepath.Glob(filepath.Join(k.dir, "iscsi/nodes", field[3], "*", field[5]))
		for _, record := range records {
			part := strings.Split(filepath.Base(filepath.Dir(record)), ",")
			k.answerLogin(field[3], net.JoinHostPort(part[0], part[1]), field[5])
		}
	}
	k.seen = len(lines)
	for _, id := range slices.Sorted(maps.Keys(k.sessions)) {
		s := k.sessions[id]
		k.showState(s)
		if k.alive(s) && k.take(fmt.Sprintf("class/scsi_host/host%d/scan", s.id)) == "0 0 5" && len(s.disks) == 0 {
			k.find(s)
			happened = true
		}
	}
	for _, d := range k.disks() {
		switch {
		case k.take(d.dir()+"/device/delete") == "1":
			k.release(d)
			k.remove("block/"+d.name, "class/block/"+d.name, filepath.Dir(filepath.Dir(d.dir())))
			d.session.disks = nil
			happened = true
		case d.back, !d.inMap && !d.told && k.alive(d.session) && k.usable(nil) > 0:
			k.adopt(d)
			happened = true
		}
	}
	return happened
}

// fail makes portals dead or alive.
func (k *kernel) fail(dead bool, portals ...string) {
	k.mu.Lock()
	for _, p := range portals {
		k.dead[p] = dead
		if file := "iscsi/dead/" + p + ",1"; dead {
			k.write(file, "")
		} else {
			k.remove(file)
		}
	}
	k.mu.Unlock()
	k.step()
}

func (k *kernel) answer(text string) string {
	command := strings.Fields(text)
	k.mu.Lock()
	defer k.mu.Unlock()
	if command[0] == "show" {
		return k.topology()
	}
	for _, d := range k.disks() {
		if d.name != command[2] {
			continue
		}
		switch {
		case command[0] == "add" && k.alive(d.session):
			k.adopt(d)
			return "ok\n"
		case command[0] == "del" && d.inMap:
			k.release(d)
			d.told, d.back = true, k.takesBack
			return "ok\n"
		}
	}
	return "fail\n"
}

func (k *kernel) topology() string {
	var paths []string
	for _, d := range k.disks() {
		switch {
		case !d.inMap:
		case k.alive(d.session):
			paths = append(paths, fmt.Sprintf(`{"dev": %q, "dm_st": "active", "chk_st": "ready"}`, d.name))
		default:
			paths = append(paths, fmt.Sprintf(`{"dev": %q, "dm_st": "failed", "chk_st": "faulty"}`, d.name))
		}
	}
	if len(paths) == 0 {
		return `{"maps": []}`
	}
	return pathsOf(paths...)
}

// volume is vol through other portals, "10.107.1.200:3260" or "eth1:10.107.1.200:3260".
func through(portals ...string) Volume {
	v := vol()
	v.Portals = nil
	for _, text := range portals {
		p := Portal{TPGT: 1}
		if device, addr, ok := strings.Cut(text, ":"); ok && strings.HasPrefix(device, "eth") {
			p.NetDevice, text = device, addr
		}
		p.Addr = netip.MustParseAddrPort(text)
		v.Portals = append(v.Portals, p)
	}
	return v
}

// run has c repair v for a time, a step each second, and returns how v is then.
// It is called in a bubble of synctest.
func (k *kernel) run(c *Connector, v Volume, seconds int) Status {
	k.t.Helper()
	var status Status
	for range seconds {
		var err error
		if status, err = c.Repair(context.Background(), v); err != nil {
			k.t.Fatal(err)
		}
		for {
			synctest.Wait()
			if !k.step() {
				break
			}
			c.event.Send()
			c.changed()
		}
		time.Sleep(time.Second)
	}
	synctest.Wait()
	return status
}

// shown is how a status looks: "10.107.1.200:3260 up".
func shown(s Status) []string {
	var list []string
	for _, p := range s.Paths {
		text := fmt.Sprintf("%s %s", p.Portal, p.State)
		if p.NetDevice != "" {
			text = p.NetDevice + ":" + text
		}
		if p.Reason != "" {
			text += ": " + p.Reason
		}
		list = append(list, text)
	}
	return list
}

// sessions returns where the sessions lead: "mallee-default 10.107.1.200:3260".
func (k *kernel) loggedIn() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []string
	for _, s := range k.sessions {
		list = append(list, s.iface+" "+s.portal)
	}
	slices.Sort(list)
	return list
}
