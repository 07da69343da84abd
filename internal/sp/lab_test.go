// SPDX-License-Identifier: Apache-2.0

//go:build lab

// The storage processor on a real kernel. It needs root and takes minutes:
//
//	go test -tags lab -run Lab ./internal/sp
package sp_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/santest"
	"github.com/mallee-io/mallee/internal/san/spclient"
	"github.com/mallee-io/mallee/internal/sp"
	"github.com/mallee-io/mallee/internal/sp/ledger"
)

func TestMain(m *testing.M) {
	if err := lab.Enter(); err != nil {
		log.Fatal(err)
	}
	os.Exit(m.Run())
}

const labConfig = `
[log]
format = "text"
level = "debug"
[sp]
name = "san1"
volume_group = "mallee"
admin_addresses = ["10.109.1.99", "10.109.1.26", "10.109.1.27"]
data_addresses = ["10.107.1.200", "10.107.1.201", "10.108.1.200", "10.108.1.201"]
certs = "/etc/mallee/sp"
state_dir = "/var/lib/mallee/sp"
`

// labRun is the lab with a storage processor in it.
type labRun struct {
	*testing.T
	ctx       context.Context
	san, nc1  *lab.Machine
	bundle    map[string][]byte
	config    string
	initiator mallee.IQN // of nc1
	processor *lab.Process
	client    *spclient.Client
	spare     san.Volume // exported while another one drains
}

// nobody is an initiator that never logs in.
const nobody = mallee.IQN("iqn.2026-11.io.mallee:nobody")

// secret is what every initiator proves itself with.
var secret = mallee.CHAP{Username: "lab", Password: "known-in-the-lab"}

func TestLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	malleed := filepath.Join(t.TempDir(), "malleed")
	build := exec.CommandContext(ctx, "go", "build", "-o", malleed, "github.com/mallee-io/mallee/cmd/malleed")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	topology := lab.Standard()
	topology.Machines[0].Disks = append(topology.Machines[0].Disks, 2*mallee.GiB)
	l, err := lab.Start(ctx, lab.Options{Topology: topology, Binaries: []string{malleed}, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	r := &labRun{T: t, ctx: ctx, san: l.Machine("san"), nc1: l.Machine("nc1"), config: labConfig}
	t.Cleanup(func() {
		if t.Failed() && r.processor != nil {
			l.Tails(t.Output(), 10)
			if text, err := r.processor.Log(context.WithoutCancel(ctx)); err == nil {
				t.Log(text)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	r.issue()
	r.run(r.san, "vgcreate", "mallee", r.san.Disk(0))
	r.start()
	r.initiator = mallee.IQN(strings.TrimPrefix(r.run(r.nc1, "cat", "/etc/iscsi/initiatorname.iscsi"), "InitiatorName="))
	_, err = r.nc1.Spawn(ctx, "iscsid", "iscsid", "-f")
	r.must(err)
	t.Run("conformance", func(t *testing.T) { santest.Run(t, func(*testing.T) san.SAN { return r.client }) })
	for _, part := range []struct {
		name string
		run  func(*labRun)
	}{
		{"chap", (*labRun).chap},
		{"grown", (*labRun).grown},
		{"exported", (*labRun).exported},
		{"pool", (*labRun).smallPool},
	} {
		t.Run(part.name, func(t *testing.T) {
			inner := *r
			inner.T = t
			part.run(&inner)
			r.processor = inner.processor
		})
	}
	r.stop()
}

// issue makes certificates for the storage processor and for us.
func (r *labRun) issue() {
	authority, err := ca.OpenOrCreate(filepath.Join(r.TempDir(), "ca"))
	r.must(err)
	files := func(role rpc.Role) (cert, key, root []byte) {
		cert, key, root, err := authority.Issue(ca.IssueOptions{Role: role, Name: "lab", Partition: "PARTI00"})
		r.must(err)
		return cert, key, root
	}
	cert, key, root := files(rpc.SP)
	// As the joining leaves them. Nobody is there to renew with, nor needs to be.
	r.bundle = map[string][]byte{rpc.BundleFile: slices.Concat(key, cert, root), "clc": []byte("10.109.1.1:8774\n")}
	cert, key, root = files(rpc.SC)
	ours, err := rpc.ParseBundle(root, cert, key)
	r.must(err)
	hosts, err := mallee.ParseHosts("10.109.1.26,10.109.1.27", config.SPAdminPort)
	r.must(err)
	r.client, err = spclient.New(spclient.Options{
		Hosts: hosts,
		Dial: func(target string, o ...grpc.DialOption) (*grpc.ClientConn, error) {
			return rpc.Dial(target, ours, rpc.SP, o...)
		},
		Log: slog.New(slog.NewTextHandler(r.Output(), nil)),
	})
	r.must(err)
	r.Cleanup(func() { r.client.Close() })
}

// start configures and starts the storage processor and waits until it answers.
func (r *labRun) start() {
	r.Helper()
	for name, data := range r.bundle {
		r.must(r.san.WriteFile(r.ctx, "/etc/mallee/sp/"+name, data, 0o600))
	}
	r.must(r.san.WriteFile(r.ctx, "/etc/mallee/malleed.toml", []byte(r.config), 0o644))
	began := time.Now()
	var err error
	r.processor, err = r.san.Spawn(r.ctx, "malleed", "malleed", "sp")
	r.must(err)
	for {
		_, err := r.client.Info(r.ctx)
		if err == nil {
			r.Logf("storage processor answers after %v", time.Since(began))
			return
		}
		if r.ctx.Err() != nil || time.Since(began) > time.Minute {
			r.Fatal(err)
		}
	}
}

func (r *labRun) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *labRun) run(m *lab.Machine, argv ...string) string {
	r.Helper()
	result, err := m.Run(r.ctx, argv...)
	r.must(err)
	return strings.TrimSpace(result.Stdout)
}

func (r *labRun) volume(initiator mallee.IQN) san.Volume {
	r.Helper()
	began := time.Now()
	v, err := r.client.CreateVolume(r.ctx, san.VolumeSpec{ID: mallee.NewVolumeID(), SizeBytes: mallee.GiB})
	r.must(err)
	created := time.Now()
	e, err := r.client.Export(r.ctx, v.ID, initiator, secret, nil)
	r.must(err)
	r.Logf("%s: created in %v, exported as LUN %d in %v", v.ID, created.Sub(began), e.LUN, time.Since(created))
	return v
}

// exported tells what a node sees of exports, and what becomes of them when the
// storage processor is killed, when its machine reboots, and when they are taken back.
func (r *labRun) exported() {
	initiator := r.initiator
	// Whatever a guest may put on its disk.
	vGPT, vPV, vMD := r.volume(initiator), r.volume(initiator), r.volume(initiator)
	r.spare = r.volume(nobody)
	r.must(r.login("san1", secret))
	dev := r.device
	inq := r.run(r.nc1, "sg_inq", dev(vGPT))
	for _, want := range []string{"Vendor identification: MALLEE", "Product identification: volume"} {
		if !strings.Contains(inq, want) {
			r.Errorf("no %q in:\n%s", want, inq)
		}
	}
	if vpd := r.run(r.nc1, "sg_vpd", "--page=lbpv", dev(vGPT)); !strings.Contains(vpd, "(LBPU): 1") {
		r.Errorf("no unmap in:\n%s", vpd)
	}
	acl := "/sys/kernel/config/target/iscsi/iqn.2026-11.io.mallee:san1/tpgt_1/acls/" + string(initiator)
	if got := r.run(r.san, "cat", acl+"/cmdsn_depth"); got != "512" {
		r.Errorf("cmdsn_depth %s, want 512", got)
	}
	r.run(r.nc1, "sgdisk", "-n", "1:0:+100M", dev(vGPT))
	// The node runs no multipathd here, so that LVM must be shown one path only.
	onePath := `devices { multipath_component_detection=0 filter=["a|^` + dev(vPV) + `$|", "r|.*|"] }`
	r.run(r.nc1, "vgcreate", "--config", onePath, "guest", dev(vPV))
	r.run(r.nc1, "lvcreate", "--config", onePath, "-an", "-Zn", "-L", "100M", "-n", "secret", "guest")
	r.run(r.nc1, "mdadm", "--create", "/dev/md9", "--run", "--level=1", "--raid-devices=2", dev(vMD), "missing")
	r.run(r.nc1, "mdadm", "--stop", "/dev/md9")

	r.far(initiator)
	r.killed(dev(vGPT))
	r.rebooted(vGPT)
	r.drained(vGPT, initiator, dev(vGPT))

	for _, v := range []san.Volume{vGPT, vPV, vMD} {
		began := time.Now()
		r.must(r.client.Unexport(r.ctx, v.ID, initiator, 0))
		r.Logf("%s: unexported in %v", v.ID, time.Since(began))
		if _, err := r.nc1.Run(r.ctx, "dd", "if=/dev/zero", "of="+dev(v), "bs=4k", "count=1", "oflag=direct"); err == nil {
			r.Errorf("a write to %s went through after it was taken back", v.ID)
		}
		r.must(r.client.DeleteVolume(r.ctx, v.ID))
	}
	r.must(r.client.Unexport(r.ctx, r.spare.ID, nobody, 0))
	r.must(r.client.Unexport(r.ctx, r.spare.ID, initiator, 0))
	r.must(r.client.DeleteVolume(r.ctx, r.spare.ID))
	r.logout()
}

// stop ends the storage processor as systemd does.
func (r *labRun) stop() {
	r.Helper()
	r.must(r.processor.Signal(r.ctx, unix.SIGTERM))
	if code, err := r.processor.Wait(r.ctx); err != nil || code != 0 {
		r.Errorf("after SIGTERM: exit code %d, %v", code, err)
	}
}

// login has the node log in at all portals of a storage processor.
func (r *labRun) login(name string, c mallee.CHAP) error {
	r.Helper()
	conf := "node.startup = manual\nnode.session.initial_login_retry_max = 1\n"
	if c != (mallee.CHAP{}) {
		conf += "node.session.auth.authmethod = CHAP\nnode.session.auth.username = " + c.Username + "\nnode.session.auth.password = " + c.Password + "\n"
	}
	r.must(r.nc1.WriteFile(r.ctx, "/etc/iscsi/iscsid.conf", []byte(conf), 0o600))
	if _, err := r.nc1.Run(r.ctx, "iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", "10.107.1.200"); err != nil {
		return err
	}
	_, err := r.nc1.Run(r.ctx, "iscsiadm", "-m", "node", "-T", string(sp.DefaultTarget(name)), "--login")
	if err != nil {
		return err
	}
	r.run(r.nc1, "udevadm", "settle")
	return nil
}

func (r *labRun) logout() {
	r.Helper()
	r.run(r.nc1, "iscsiadm", "-m", "node", "--logoutall=all")
}

// device returns one of the node's four disks of a volume.
func (r *labRun) device(v san.Volume) string {
	r.Helper()
	paths := strings.Fields(r.run(r.nc1, "sh", "-c", "grep -l "+string(v.WWID[1:])+" /sys/block/sd*/device/wwid"))
	if len(paths) != 4 {
		r.Fatalf("%d paths of %s, want 4: %s", len(paths), v.ID, paths)
	}
	return "/dev/" + strings.Split(paths[0], "/")[3]
}

// far asserts that a node finds and writes a volume at a LUN beyond 255, and at the
// highest that is given.
func (r *labRun) far(initiator mallee.IQN) {
	for _, lun := range []uint16{300, ledger.MaxLUN} {
		v, err := r.client.CreateVolume(r.ctx, san.VolumeSpec{ID: mallee.NewVolumeID(), SizeBytes: mallee.GiB})
		r.must(err)
		e, err := r.client.Export(r.ctx, v.ID, initiator, secret, san.Seats{lun: v.ID})
		r.must(err)
		if e.LUN != lun {
			r.Errorf("exported as LUN %d, want %d, where the caller said that the node holds it", e.LUN, lun)
		}
		r.run(r.nc1, "sh", "-c", fmt.Sprintf("for h in /sys/class/iscsi_host/host*; do echo '0 0 %d' >/sys/class/scsi_host/${h##*/}/scan; done; udevadm settle", lun))
		dev := r.device(v)
		address := r.run(r.nc1, "readlink", "/sys/block/"+path.Base(dev)+"/device")
		r.Logf("LUN %d of the storage processor is %s on the node", lun, path.Base(address))
		if !strings.HasSuffix(address, fmt.Sprintf(":0:0:%d", lun)) {
			r.Errorf("the node has it at %s, want LUN %d", address, lun)
		}
		r.run(r.nc1, "dd", "if=/dev/zero", "of="+dev, "bs=4k", "count=1", "oflag=direct")
		r.run(r.nc1, "sh", "-c", "for f in $(grep -l "+string(v.WWID[1:])+" /sys/block/sd*/device/wwid); do echo 1 >${f%/wwid}/delete; done")
		r.must(r.client.Unexport(r.ctx, v.ID, initiator, lun))
		r.must(r.client.DeleteVolume(r.ctx, v.ID))
	}
}

// killed asserts that sessions and I/O do not notice a kill of the process.
func (r *labRun) killed(device string) {
	sessions := r.run(r.nc1, "iscsiadm", "-m", "session")
	io, err := r.nc1.Spawn(r.ctx, "dd", "dd", "if=/dev/zero", "of="+device, "bs=64k", "seek=2000", "count=8000", "oflag=direct")
	r.must(err)
	r.must(r.processor.Kill(r.ctx))
	r.start()
	if code, err := io.Wait(r.ctx); err != nil || code != 0 {
		r.Errorf("I/O over the kill: exit code %d, %v", code, err)
	}
	if diff := cmp.Diff(sessions, r.run(r.nc1, "iscsiadm", "-m", "session")); diff != "" {
		r.Errorf("sessions after the kill: %s", diff)
	}
}

// rebooted asserts that exports come back with their LUNs, and that the machine
// opened nothing of what is inside the volumes.
func (r *labRun) rebooted(v san.Volume) {
	before, _, err := r.client.Exports(r.ctx)
	r.must(err)
	const state = "/var/lib/mallee/sp/exports.json"
	saved, err := r.san.ReadFile(r.ctx, state) // The lab's machines forget their files.
	r.must(err)
	r.must(r.san.Kill(r.ctx))
	r.must(r.san.Start(r.ctx))
	r.must(r.san.WriteFile(r.ctx, state, saved, 0o600))
	// MD is there to be tempted.
	r.run(r.san, "modprobe", "--all", "md_mod", "raid1")
	r.tempt(before)
	r.start()
	after, _, err := r.client.Exports(r.ctx)
	r.must(err)
	if diff := cmp.Diff(before, after); diff != "" {
		r.Errorf("exports after the reboot: %s", diff)
	}
	seen := r.look()
	for _, never := range []string{"guest", "secret", "raid1 dm-", "md-name", "dm-uuid", "part"} {
		if strings.Contains(seen, never) {
			r.Errorf("the storage processor opened the inside of a volume, %q:\n%s", never, seen)
		}
	}
	// The node logs in again by itself and reads what it wrote.
	device := "/dev/disk/by-id/wwn-0x" + string(v.WWID[1:])
	for attempt := 0; ; attempt++ {
		if _, err := r.nc1.Run(r.ctx, "dd", "if="+device, "of=/dev/null", "bs=4k", "count=1", "iflag=direct"); err == nil {
			break
		} else if attempt == 30 {
			r.Fatal(err)
		}
	}
}

// drained asserts that an export is not reported gone while one of its writes is
// on its way to the disk, which is held up below LIO; and that meanwhile other
// volumes are exported and taken back, also by a process that was started anew.
func (r *labRun) drained(v san.Volume, initiator mallee.IQN, device string) {
	name := "mallee-" + strings.ReplaceAll(string(v.ID), "-", "--")
	r.run(r.san, "dmsetup", "suspend", name)
	write, err := r.nc1.Spawn(r.ctx, "write", "dd", "if=/dev/zero", "of="+device, "bs=4k", "count=1", "oflag=direct")
	r.must(err)
	for r.run(r.nc1, "awk", "{print $2}", "/sys/block/"+filepath.Base(device)+"/inflight") == "0" {
		r.must(r.ctx.Err())
	}
	short, cancel := context.WithTimeout(r.ctx, 3*time.Second)
	defer cancel()
	if err := r.client.Unexport(short, v.ID, initiator, 0); mallee.KindOf(err) != mallee.Unavailable {
		r.Errorf("with a write in flight Unexport returned %v, want unavailable", err)
	}
	r.beside(initiator)
	r.must(r.processor.Kill(r.ctx))
	r.start()
	r.beside(initiator)
	r.run(r.san, "dmsetup", "resume", name)
	r.must(r.client.Unexport(r.ctx, v.ID, initiator, 0))
	code, err := write.Wait(r.ctx)
	r.Logf("the write in flight ended with exit code %d, %v", code, err)
}

// beside takes exports of another volume back and makes them, while one drains.
func (r *labRun) beside(initiator mallee.IQN) {
	r.Helper()
	short, cancel := context.WithTimeout(r.ctx, 20*time.Second)
	defer cancel()
	began := time.Now()
	for _, to := range []mallee.IQN{initiator, nobody} {
		if err := r.client.Unexport(short, r.spare.ID, to, 0); err != nil {
			r.Errorf("unexport from %s while another volume drains: %v", to, err)
		}
		if _, err := r.client.Export(short, r.spare.ID, to, secret, nil); err != nil {
			r.Errorf("export to %s while another volume drains: %v", to, err)
		}
	}
	r.Logf("exported and unexported beside a draining volume in %v", time.Since(began))
}

// look returns everything by which a volume's inside would show on the machine.
func (r *labRun) look() string {
	r.Helper()
	r.run(r.san, "udevadm", "settle")
	return r.run(r.san, "sh", "-c", "dmsetup ls; cat /proc/mdstat; vgs; ls /dev/disk/by-*; true")
}

// tempt activates the volumes without our rules, so that it is known that the
// machine does open what it can, and puts everything back.
func (r *labRun) tempt(volumes []san.Export) {
	for _, v := range volumes {
		r.run(r.san, "lvchange", "--activate", "y", "--ignoreactivationskip", "mallee/"+string(v.VolumeID))
	}
	if seen := r.look(); !strings.Contains(seen, "raid1 dm-") || !strings.Contains(seen, "md-name") {
		r.Errorf("without rules nothing was opened, so that the test proves nothing:\n%s", seen)
	}
	r.run(r.san, "mdadm", "--stop", "--scan")
	for _, v := range volumes {
		r.run(r.san, "lvchange", "--activate", "n", "mallee/"+string(v.VolumeID))
	}
}
