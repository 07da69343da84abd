// SPDX-License-Identifier: Apache-2.0

//go:build lab

package sp_test

import (
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/internal/san"
)

// grown tells what a node sees of a volume that grows under I/O, and what becomes of
// a growth that a kill cut off.
func (r *labRun) grown() {
	v := r.volume(r.initiator)
	r.must(r.login("san1", secret))
	device := r.device(v)
	io, err := r.nc1.Spawn(r.ctx, "dd", "dd", "if=/dev/zero", "of="+device, "bs=64k", "count=4000", "oflag=direct")
	r.must(err)
	table := r.run(r.san, "dmsetup", "table", r.dm(v))
	grown, err := r.client.ResizeVolume(r.ctx, v.ID, 2*mallee.GiB)
	r.must(err)
	if grown.SizeBytes != 2*mallee.GiB {
		r.Errorf("grown to %d bytes", grown.SizeBytes)
	}
	r.Logf("READ CAPACITY at once: %s", r.run(r.nc1, "sg_readcap", "--brief", device))
	r.Logf("the node's kernel at once: %d", r.size(device))
	r.run(r.nc1, "sh", "-c", "echo 1 >/sys/block/"+strings.TrimPrefix(device, "/dev/")+"/device/rescan")
	if got := r.size(device); got != 2*mallee.GiB {
		r.Errorf("after a rescan the node has %d bytes", got)
	}
	if code, err := io.Wait(r.ctx); err != nil || code != 0 {
		r.Errorf("I/O over the growth: exit code %d, %v", code, err)
	}
	r.run(r.nc1, "dd", "if=/dev/zero", "of="+device, "bs=64k", "count=10", "seek=20000", "oflag=direct")

	// As a kill leaves it: grown in lvm's records, and not in the kernel, with the
	// device suspended and the new table waiting.
	r.must(r.processor.Kill(r.ctx))
	wanted := r.run(r.san, "dmsetup", "table", r.dm(v))
	for _, argv := range [][]string{
		{"dmsetup", "load", r.dm(v), "--table", table},
		{"dmsetup", "resume", r.dm(v)},
		{"dmsetup", "load", r.dm(v), "--table", wanted},
		{"dmsetup", "suspend", r.dm(v)},
	} {
		r.run(r.san, argv...)
	}
	r.start()
	if got := r.run(r.san, "blockdev", "--getsize64", "/dev/mallee/"+string(v.ID)); got != strconv.Itoa(2*mallee.GiB) {
		r.Errorf("after a growth that was cut off the device has %s bytes", got)
	}
	r.run(r.nc1, "dd", "if=/dev/zero", "of="+device, "bs=64k", "count=10", "seek=20000", "oflag=direct")
	r.logout()
	r.must(r.client.Unexport(r.ctx, v.ID, r.initiator, 0))
	// One that has no device, as after a reboot, grows too, and gets none by that.
	r.run(r.san, "lvchange", "--activate", "n", "mallee/"+string(v.ID))
	_, err = r.client.ResizeVolume(r.ctx, v.ID, 3*mallee.GiB)
	r.must(err)
	if got := r.run(r.san, "lvs", "--noheadings", "--units", "g", "--options", "lv_size,lv_active", "mallee/"+string(v.ID)); got != "3.00g" {
		r.Errorf("a volume without a device after it grew: %q", got)
	}
	r.must(r.client.DeleteVolume(r.ctx, v.ID))
}

// dm returns the name that device mapper has for a volume in the group mallee.
func (r *labRun) dm(v san.Volume) string {
	return "mallee-" + strings.ReplaceAll(string(v.ID), "-", "--")
}

// size returns the bytes that the node's kernel gives a disk.
func (r *labRun) size(device string) int {
	r.Helper()
	n, err := strconv.Atoi(r.run(r.nc1, "blockdev", "--getsize64", device))
	r.must(err)
	return n
}

// smallPool tells what becomes of volumes whose pool runs full, and that no volume
// shows what another one held. The pool is one that an admin made with lvm's defaults
// turned the wrong way.
func (r *labRun) smallPool() {
	r.stop()
	r.run(r.san, "vgcreate", "small", r.san.Disk(1))
	r.run(r.san, "lvcreate", "--yes", "--type", "thin-pool", "--zero", "n", "--chunksize", "1M", "--size", "1100M", "--name", "mallee-pool", "small")
	// Most of its blocks are taken at once, since it does not zero them yet: the pool
	// must be as large as a volume, and to fill all of it takes long here.
	r.run(r.san, "lvcreate", "--yes", "--type", "thin", "--virtualsize", "700M", "--thinpool", "mallee-pool", "--name", "filler", "small")
	r.touch(r.san, "/dev/small/filler", 700)
	r.config = strings.NewReplacer(`"san1"`, `"san2"`, `"mallee"`, `"small"`, "/var/lib/mallee/sp", "/var/lib/mallee/sp2").Replace(labConfig)
	r.start()
	if got := r.run(r.san, "lvs", "--noheadings", "--options", "zero,lv_when_full", "small/mallee-pool"); strings.Join(strings.Fields(got), " ") != "zero error" {
		r.Errorf("zeroing and behaviour when full of the pool: %q", got)
	}
	filled := r.zeroed()
	r.full(filled, r.volume(r.initiator))
}

// oldBytes is what a tenant wrote to a volume that is deleted.
const oldBytes = "old-bytes-of-another-tenant"

// touch writes 4 KiB of zeros at the start of each of the first blocks of 1 MiB of a
// device, the size of the pool's.
func (r *labRun) touch(m *lab.Machine, device string, blocks int) {
	r.Helper()
	r.run(m, "fio", "--name=touch", "--filename="+device, "--direct=1", "--ioengine=libaio", "--iodepth=32",
		"--bs=4k", "--rw=write:1020k", "--size="+strconv.Itoa(blocks)+"M", "--zero_buffers")
}

// zeroed has the pool give most of its free blocks a second time, to the volume that
// it returns.
func (r *labRun) zeroed() san.Volume {
	old := r.volume(nobody)
	r.run(r.san, "sh", "-c", "yes "+oldBytes+" | dd of=/dev/small/"+string(old.ID)+" bs=1M count=300 iflag=fullblock oflag=direct")
	if seen := r.run(r.san, "sh", "-c", "dd if=/dev/mapper/small-mallee--pool_tdata bs=1M count=1 skip=800 2>/dev/null | grep --count "+oldBytes+"; true"); seen == "0" {
		r.Error("the pool does not hold what was written, so that the test proves nothing")
	}
	r.must(r.client.Unexport(r.ctx, old.ID, nobody, 0))
	r.must(r.client.DeleteVolume(r.ctx, old.ID))

	v := r.volume(r.initiator)
	r.must(r.login("san2", secret))
	device := r.device(v)
	r.touch(r.nc1, device, 300)
	if _, err := r.nc1.Run(r.ctx, "cmp", "--bytes="+strconv.Itoa(300<<20), device, "/dev/zero"); err != nil {
		r.Errorf("a new volume does not read as zeros: %v", err)
	}
	return v
}

// full fills the pool up, beside the 300 MiB of one volume, by writing to another.
func (r *labRun) full(filled, v san.Volume) {
	r.run(r.nc1, "iscsiadm", "-m", "session", "--rescan")
	r.run(r.nc1, "udevadm", "settle")
	write := func(to san.Volume, megabyte, count int) error {
		began := time.Now()
		_, err := r.nc1.Run(r.ctx, "timeout", "60", "dd", "if=/dev/zero", "of="+r.device(to), "bs=1M", "oflag=direct",
			"seek="+strconv.Itoa(megabyte), "count="+strconv.Itoa(count))
		r.Logf("%d MiB at %d of %s: %v after %v", count, megabyte, to.ID, err, time.Since(began))
		return err
	}
	r.must(write(v, 0, 1))
	sessions := r.run(r.nc1, "iscsiadm", "-m", "session")

	began := time.Now()
	if write(v, 100, 300) == nil {
		r.Error("more was written than the pool has")
	}
	if took := time.Since(began); took > 30*time.Second {
		r.Errorf("a write to a full pool failed only after %v", took)
	}
	// What is there goes on, of this volume and of others.
	r.must(write(v, 0, 1))
	r.must(write(filled, 250, 1))
	r.run(r.nc1, "dd", "if="+r.device(filled), "of=/dev/null", "bs=1M", "count=10", "iflag=direct")
	if now := r.run(r.nc1, "iscsiadm", "-m", "session"); now != sessions {
		r.Errorf("sessions with a full pool:\n%s\nbefore:\n%s", now, sessions)
	}
	info, err := r.client.Info(r.ctx)
	r.must(err)
	if len(info.Alarms) != 1 || !strings.Contains(info.Alarms[0], "lvextend") {
		r.Errorf("alarms %q", info.Alarms)
	}
	r.Log(info.Alarms)
	if _, err := r.client.CreateVolume(r.ctx, san.VolumeSpec{ID: mallee.NewVolumeID(), SizeBytes: mallee.GiB}); mallee.KindOf(err) != mallee.Exhausted {
		r.Errorf("a new volume: %v, want exhausted", err)
	}
	if _, err := r.client.ResizeVolume(r.ctx, v.ID, 2*mallee.GiB); mallee.KindOf(err) != mallee.Exhausted {
		r.Errorf("growth: %v, want exhausted", err)
	}

	r.run(r.san, "lvextend", "--size", "+700M", "small/mallee-pool")
	r.must(write(v, 100, 200))
	if info, err = r.client.Info(r.ctx); err != nil || len(info.Alarms) != 0 {
		r.Errorf("alarms after the pool was extended: %q, %v", info.Alarms, err)
	}
	r.logout()
}
