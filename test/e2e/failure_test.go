// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/test/scenario"
)

// testFabric takes half of the paths away without a word while a guest writes,
// and gives them back.
func testFabric(t *testing.T, w *world) {
	ctx := patience(t, 4*time.Minute)
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	fio, err := scenario.StartFio(ctx, w.NC1, scenario.Workload{Devices: []string{"/dev/mallee/" + volume}, Length: 30 * time.Second})
	must(t, err)
	must(t, w.Lab.CutFabric(ctx, "fab2"))
	must(t, w.AwaitPaths(ctx, volume, 4, 2))
	paths, err := w.Paths(ctx, volume)
	must(t, err)
	for _, p := range paths {
		if cut := strings.HasPrefix(p.Portal, "10.108.1."); cut == (p.State == mallee.PathUp) {
			t.Errorf("fabric 2 is cut, and the path %s is %s", p.Portal, p.State)
		} else if cut && p.Reason == "" {
			t.Errorf("the path %s is %s without a reason", p.Portal, p.State)
		}
	}
	must(t, w.Lab.HealFabric(ctx, "fab2"))
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	outcome, err := fio.Wait(ctx)
	must(t, err)
	intact(t, outcome)
	w.detach(t, volume)
	w.remove(t, volume)
}

// testKill kills each part in the middle of an attach: it still ends in an
// attached volume.
func testKill(t *testing.T, w *world) {
	wished := func(context.Context, string) (bool, error) { return true, nil }
	offered := func(ctx context.Context, volume string) (bool, error) {
		_, err := w.SAN.Run(ctx, "sh", "-c", "test -d /sys/kernel/config/target/core/iblock_*/"+volume)
		return err == nil, err
	}
	loggedIn := func(ctx context.Context, _ string) (bool, error) {
		_, err := w.NC1.Run(ctx, "sh", "-c", "ls /sys/class/iscsi_session | grep -q session")
		return err == nil, err
	}
	for _, test := range []struct {
		part *scenario.Part
		when func(ctx context.Context, volume string) (bool, error)
	}{
		{w.CLC, wished},
		{w.SC, wished},
		{w.SP, wished},
		{w.SP, offered},
		{w.NC, offered},
		{w.NC, loggedIn},
	} {
		t.Run(test.part.Name, func(t *testing.T) {
			ctx := patience(t, 3*time.Minute)
			volume := w.create(t)
			_, err := w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{
				VolumeId: &volume, InstanceId: &w.instance, Device: aws.String("/dev/sdf"),
			})
			must(t, err)
			must(t, scenario.Eventually(ctx, 20*time.Millisecond, func() (bool, error) { return test.when(ctx, volume) }))
			if v, err := w.Volume(ctx, w.ec2, volume); err == nil && v.Attachments[0].State != types.VolumeAttachmentStateAttaching {
				t.Logf("too late: the attachment is %s", v.Attachments[0].State)
			}
			must(t, test.part.Kill(ctx))
			must(t, test.part.Start(ctx))
			must(t, w.AwaitAttached(ctx, w.ec2, volume))
			must(t, w.AwaitPaths(ctx, volume, 4, 4))
			w.detach(t, volume)
			w.remove(t, volume)
		})
	}
}

// testNodeRestart restarts the node controller: it keeps its instance id, and
// the volume its guest.
func testNodeRestart(t *testing.T, w *world) {
	ctx := patience(t, 2*time.Minute)
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.NC.Kill(ctx))
	if _, err := w.NC1.Run(ctx, "dd", "if=/dev/mallee/"+volume, "of=/dev/null", "bs=1M", "count=8", "iflag=direct"); err != nil {
		t.Errorf("without the node controller the volume cannot be read: %v", err)
	}
	must(t, w.NC.Start(ctx))
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	instance, err := w.Instance(ctx)
	must(t, err)
	if instance != w.instance {
		t.Errorf("the node was %s and is %s", w.instance, instance)
	}
	w.detach(t, volume)
	w.remove(t, volume)
}

// testNodeReboot power-cycles the node while a volume is attached: nothing logs
// in before malleed runs, and then the volume comes back with what was durable.
func testNodeReboot(t *testing.T, w *world) {
	ctx := patience(t, 5*time.Minute)
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	const write = `
dd if=/dev/urandom of=/tmp/content bs=1M count=16 status=none
dd if=/tmp/content of="$1" bs=1M oflag=direct conv=fsync status=none
md5sum </tmp/content`
	before, err := w.NC1.Run(ctx, "sh", "-ec", write, "sh", "/dev/mallee/"+volume)
	must(t, err)
	records, err := w.NC1.Run(ctx, "sh", "-c", "sync; find /etc/iscsi/nodes -type f | wc -l")
	must(t, err)
	if got := strings.TrimSpace(records.Stdout); got != "4" {
		t.Fatalf("%s node records are there for the boot to find, want one for each path", got)
	}

	must(t, w.NC1.Kill(ctx))
	must(t, w.NC1.Start(ctx))
	must(t, w.NC.Start(ctx)) // fails if anything was logged in before it
	start := time.Now()
	// Not "attached" in words alone: that is what it was.
	must(t, scenario.Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
		_, err := w.NC1.Run(ctx, "test", "-b", "/dev/mallee/"+volume)
		return err == nil, err
	}))
	t.Logf("the device was back %v after malleed started", time.Since(start))
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	must(t, w.AwaitAttached(ctx, w.ec2, volume))
	const read = `dd if="$1" bs=1M count=16 iflag=direct status=none | md5sum`
	after, err := w.NC1.Run(ctx, "sh", "-ec", read, "sh", "/dev/mallee/"+volume)
	must(t, err)
	if after.Stdout != before.Stdout {
		t.Errorf("the volume's content is %s, and was %s", after.Stdout, before.Stdout)
	}
	w.detach(t, volume)
	w.remove(t, volume)
}

// testSANReboot power-cycles the storage processor under a writing guest: the
// exports come back, no call fails, and no write is lost that was to be durable.
func testSANReboot(t *testing.T, w *world) {
	ctx := patience(t, 5*time.Minute)
	volume := w.create(t)
	w.attach(t, volume)
	fio, err := scenario.StartFio(ctx, w.NC1, scenario.Workload{Devices: []string{"/dev/mallee/" + volume}, Length: 20 * time.Second, Durable: true})
	must(t, err)
	must(t, w.SAN.Kill(ctx))
	must(t, w.SAN.Start(ctx))
	must(t, w.SP.Start(ctx))
	outcome, err := fio.Wait(ctx)
	must(t, err)
	if outcome.Errors != 0 || outcome.BytesVerified != outcome.BytesWritten {
		t.Errorf("fio: %+v", outcome)
	}
	t.Logf("longest stall %v", outcome.LongestStall)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	w.detach(t, volume)
	w.remove(t, volume)
}

// testNoPath takes all paths away: I/O waits for a bounded time, then fails, and
// the volume can still be detached.
func testNoPath(t *testing.T, w *world) {
	ctx := patience(t, 4*time.Minute)
	must(t, w.SetProperty(ctx, "storage.nopathtimeout", "10"))
	volume := w.create(t)
	w.attach(t, volume)
	for _, fabric := range []string{"fab1", "fab2"} {
		must(t, w.Lab.CutFabric(ctx, fabric))
	}
	read := func() error {
		_, err := w.NC1.Run(ctx, "dd", "if=/dev/mallee/"+volume, "of=/dev/null", "bs=4k", "count=1", "iflag=direct")
		return err
	}
	start := time.Now()
	if err := read(); err == nil || !strings.Contains(err.Error(), "Input/output error") {
		t.Errorf("a read without any path: %v, want an I/O error", err)
	}
	t.Logf("I/O without any path failed after %v, with a bound of 10s once the paths are known to be dead", time.Since(start))
	must(t, w.AwaitPaths(ctx, volume, 4, 0))
	for _, fabric := range []string{"fab1", "fab2"} {
		must(t, w.Lab.HealFabric(ctx, fabric))
	}
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	if err := read(); err != nil {
		t.Errorf("a read with all paths back: %v", err)
	}

	// And gone for good: the node lets go of what it cannot reach.
	for _, fabric := range []string{"fab1", "fab2"} {
		must(t, w.Lab.CutFabric(ctx, fabric))
	}
	must(t, w.AwaitPaths(ctx, volume, 4, 0))
	w.detach(t, volume)
	for _, fabric := range []string{"fab1", "fab2"} {
		must(t, w.Lab.HealFabric(ctx, fabric))
	}
	w.remove(t, volume)
	_, err := w.Tool(ctx, "euca-modify-property", "-r", "PARTI00.storage.nopathtimeout")
	must(t, err)
	must(t, scenario.Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
		conf, err := w.NC1.ReadFile(ctx, "/etc/multipath/conf.d/mallee.conf")
		return strings.Contains(string(conf), "no_path_retry 24"), errors.Join(err, fmt.Errorf("%s", conf))
	}))
}
