// SPDX-License-Identifier: Apache-2.0

//go:build lab

package host_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/test/hands"
	"github.com/mallee-io/mallee/test/target"
)

func TestMain(m *testing.M) {
	if err := lab.Enter(); err != nil {
		log.Fatal(err)
	}
	os.Exit(m.Run())
}

const labTarget = "iqn.2026-11.io.mallee:lab"

// portals are one of each fabric.
var portals = []string{"10.107.1.200:3260", "10.108.1.200:3260"}

// foreign is a disk of somebody else's, behind LUN 3.
var foreign = target.Backstore{
	Name: "foreign", SizeBytes: 16 << 20, Serial: "0123456789abcdef0123456789abcdef", Vendor: "OTHER", Product: "disk",
}

// labNode is a node with two sessions, whose udevd tells what it starts.
type labNode struct {
	*testing.T
	ctx   context.Context
	nc1   *lab.Machine
	hands *hands.Hands
	udevd *lab.Process
	from  int // where the part of udevd's log begins that programs has not yet read
}

// TestLabUdev attaches a volume with Debian's rules beside ours, and looks at what
// udev starts for it and at what it shows of it: also after all that makes udev or
// multipathd look at it anew.
func TestLabUdev(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	n := startLab(ctx, t)
	first, second := labVolume(1), labVolume(2)
	n.attach(first)
	n.startsNothing("attach")
	n.shows(first)

	n.attach(second)
	n.startsNothing("attach with sessions up")
	n.shows(first, second)

	for _, again := range []struct {
		name string
		do   func()
	}{
		{"udevadm trigger --action=add", func() { n.run("udevadm", "trigger", "--action=add", "--subsystem-match=block") }},
		{"udevadm trigger", func() { n.run("udevadm", "trigger", "--subsystem-match=block") }},
		{"multipathd reconfigure", func() { n.run("multipathd", "reconfigure") }},
		{"restart of multipathd", n.restartMultipathd},
		{"restart of udevd", n.restartUdevd},
	} {
		again.do()
		n.run("udevadm", "settle")
		n.owned(first, second)
		n.startsNothing(again.name)
		n.shows(first, second)
	}

	n.detach(first)
	n.startsNothing("detach")
	n.shows(second)
	n.detach(second)
	n.shows()
	n.leavesOthersAlone()
}

func startLab(ctx context.Context, t *testing.T) *labNode {
	inside := filepath.Join(t.TempDir(), hands.Program)
	if err := hands.Build(ctx, inside); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(ctx, lab.Options{Topology: lab.Standard(), Binaries: []string{inside}, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.Tails(t.Output(), 20)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	n := &labNode{T: t, ctx: ctx, nc1: l.Machine("nc1")}
	n.makeSAN(l.Machine("san"))
	n.restartUdevd()
	n.hands, err = hands.StartNode(ctx, n.nc1, t.Output())
	n.must(err)
	t.Cleanup(n.hands.Close)
	return n
}

func (n *labNode) makeSAN(m *lab.Machine) {
	n.Helper()
	san := target.Start(m, n.Output())
	n.Cleanup(san.Close)
	list := []target.Backstore{labBackstore(1), labBackstore(2), foreign}
	n.must(san.Make(n.ctx, list...))
	n.must(san.Open(n.ctx, target.TPG{IQN: labTarget, Tag: 1, Portals: addresses()}))
	for i, b := range list {
		n.must(san.Map(n.ctx, b.Name, target.Seat{IQN: labTarget, Tag: 1, LUN: uint16(i + 1)}))
	}
}

func addresses() (all []netip.AddrPort) {
	for _, p := range portals {
		all = append(all, netip.MustParseAddrPort(p))
	}
	return all
}

func labBackstore(lun int) target.Backstore {
	return target.Backstore{Name: fmt.Sprintf("vol-%08x", lun), SizeBytes: 16 << 20, Serial: target.Serial(lun)}
}

func labVolume(lun int) hands.Volume {
	b := labBackstore(lun)
	v := connector.Volume{Name: b.Name, Target: labTarget, LUN: uint16(lun), WWID: b.WWID()}
	for _, a := range addresses() {
		v.Portals = append(v.Portals, connector.Portal{Addr: a, TPGT: 1})
	}
	return hands.Volume{Volume: v}
}

func (n *labNode) must(err error) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
}

func (n *labNode) run(argv ...string) string {
	n.Helper()
	result, err := n.nc1.Run(n.ctx, argv...)
	n.must(err)
	return strings.TrimSpace(result.Stdout)
}

// attach attaches a volume, and waits for multipathd and for udev.
func (n *labNode) attach(v hands.Volume) {
	n.Helper()
	var a hands.Attached
	n.must(n.hands.Call(n.ctx, hands.OpAttach, hands.Attach{Volumes: []hands.Volume{v}, Complete: true}, &a))
	n.Logf("%s: ready after %v, complete after %v", v.Name, a.Ready, a.Complete)
	n.owned(v)
	n.run("udevadm", "settle")
}

func (n *labNode) detach(v hands.Volume) {
	n.Helper()
	n.must(n.hands.Call(n.ctx, hands.OpDetach, []hands.Volume{v}, nil))
	n.run("udevadm", "settle")
}

// owned waits until multipathd has each of these volumes' maps with both paths usable.
func (n *labNode) owned(volumes ...hands.Volume) {
	n.Helper()
	var want []string
	for _, v := range volumes {
		want = append(want, slices.Repeat([]string{v.WWID + " active ready"}, len(v.Portals))...)
	}
	slices.Sort(want)
	var got []string
	for n.ctx.Err() == nil {
		result, err := n.nc1.Run(n.ctx, "multipathd", "show", "paths", "raw", "format", "%m %t %T")
		got = nil
		for line := range strings.Lines(result.Stdout) {
			line = strings.TrimSpace(line)
			if slices.ContainsFunc(volumes, func(v hands.Volume) bool { return strings.HasPrefix(line, v.WWID) }) {
				got = append(got, line)
			}
		}
		slices.Sort(got)
		if err == nil && slices.Equal(got, want) {
			return
		}
	}
	n.Fatalf("multipathd's paths, with map, kernel's state and checker's (-want +got):\n%s", cmp.Diff(want, got))
}

// restartUdevd starts a udevd that tells in its log each program that it starts.
func (n *labNode) restartUdevd() {
	n.Helper()
	n.run("udevadm", "control", "--exit")
	var err error
	n.udevd, err = n.nc1.Spawn(n.ctx, "udevd", "/lib/systemd/systemd-udevd", "--debug")
	n.must(err)
	for n.ctx.Err() == nil {
		if _, err := n.nc1.Run(n.ctx, "udevadm", "control", "--ping"); err == nil {
			break
		}
	}
	n.run("udevadm", "trigger", "--action=add", "--subsystem-match=block")
}

func (n *labNode) restartMultipathd() {
	n.Helper()
	n.run("multipathd", "shutdown")
	for n.ctx.Err() == nil {
		if result, err := n.nc1.Run(n.ctx, "pidof", "multipathd"); err != nil && result.Stdout == "" {
			break
		}
	}
	_, err := n.nc1.Spawn(n.ctx, "multipathd", "multipathd", "-d")
	n.must(err)
}

var started = regexp.MustCompile(`(?m)^(\w[\w-]*): Starting '([^']*)`)

// programs returns what udevd has started for disks and maps since it was last
// asked: lines of a device's name and a command.
func (n *labNode) programs() (all []string) {
	n.Helper()
	n.run("udevadm", "settle")
	text, err := n.udevd.Log(n.ctx)
	n.must(err)
	for _, m := range started.FindAllStringSubmatch(text[n.from:], -1) {
		if strings.HasPrefix(m[1], "sd") || strings.HasPrefix(m[1], "dm-") {
			all = append(all, m[1]+" "+m[2])
		}
	}
	n.from = len(text)
	return all
}

// startsNothing asserts that udev has started no program: but for multipathd, which
// waits for udev when it changes a map, by a cookie that two calls of dmsetup handle.
func (n *labNode) startsNothing(why string) {
	n.Helper()
	cookie := regexp.MustCompile(`^dm-\d+ /sbin/dmsetup udev(flags|complete) \d+$`)
	for _, p := range n.programs() {
		if !cookie.MatchString(p) {
			n.Errorf("%s: udev has started: %s", why, p)
		}
	}
}

// shows asserts what udev shows of these volumes, and nothing of any other.
func (n *labNode) shows(volumes ...hands.Volume) {
	n.Helper()
	want := map[string]string{}
	for _, v := range volumes {
		device := filepath.Base(n.run("readlink", "-e", "/dev/mapper/"+v.WWID))
		for _, link := range []string{"dm-name-" + v.WWID, "dm-uuid-mpath-" + v.WWID, "scsi-" + v.WWID, "wwn-0x" + v.WWID[1:]} {
			want["/dev/disk/by-id/"+link] = device
		}
		n.properties("/dev/"+device, map[string]string{
			"DM_NAME": v.WWID, "DM_UUID": "mpath-" + v.WWID, "DM_SERIAL": v.WWID, "DM_WWN": "0x" + v.WWID[1:],
			"MPATH_DEVICE_READY": "1", "DM_UDEV_DISABLE_OTHER_RULES_FLAG": "1", "ID_FS_TYPE": "", "ID_PART_TABLE_TYPE": "",
		})
		for _, p := range v.Portals {
			link := fmt.Sprintf("/dev/disk/by-path/ip-%s-iscsi-%s-lun-%d", p.Addr, labTarget, v.LUN)
			disk := filepath.Base(n.run("readlink", "-e", link))
			want[link] = disk
			n.properties("/dev/"+disk, map[string]string{
				"ID_SERIAL": v.WWID, "ID_SERIAL_SHORT": v.WWID[1:], "ID_WWN": "0x" + v.WWID[1:], "ID_BUS": "scsi",
				"ID_VENDOR": "MALLEE", "ID_MODEL": "volume", "DM_MULTIPATH_DEVICE_PATH": "1", "SYSTEMD_READY": "0",
			})
		}
	}
	got := map[string]string{}
	for line := range strings.Lines(n.run("find", "/dev", "-path", "/dev/disk/by-[ip]*", "-type", "l", "-printf", "%p %l\n")) {
		link, device, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[link] = filepath.Base(device)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		n.Errorf("links (-want +got):\n%s", diff)
	}
}

// properties asserts some of a device's properties in udev's database; empty is
// for one that is not there.
func (n *labNode) properties(device string, want map[string]string) {
	n.Helper()
	got := map[string]string{}
	for name := range want {
		got[name] = ""
	}
	for line := range strings.Lines(n.run("udevadm", "info", "--query=property", device)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if _, ok := want[name]; ok {
			got[name] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		n.Errorf("%s (-want +got):\n%s", device, diff)
	}
}

// leavesOthersAlone has a foreign disk come, for which the distribution's rules do
// what they always do. It also shows that programs sees what udev starts.
func (n *labNode) leavesOthersAlone() {
	n.Helper()
	n.programs()
	n.run("iscsiadm", "-m", "node", "-T", labTarget, "-p", portals[0], "-o", "new")
	n.run("iscsiadm", "-m", "node", "-T", labTarget, "-p", portals[0], "-o", "update", "-n", "node.session.scan", "-v", "manual")
	n.run("iscsiadm", "-m", "node", "-T", labTarget, "-p", portals[0], "--login")
	n.run("sh", "-ec", "for host in /sys/class/iscsi_host/host*; do echo 0 0 3 >/sys/class/scsi_host/${host##*/}/scan; done")
	all := n.programs()
	if !slices.ContainsFunc(all, func(p string) bool { return strings.Contains(p, "sg_inq") }) {
		n.Errorf("no sg_inq among what udev has started for another's disk: %q", all)
	}
	n.run("test", "-L", "/dev/disk/by-id/scsi-"+foreign.WWID())
	n.run("iscsiadm", "-m", "node", "-T", labTarget, "--logout")
}
