// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/test/scenario"
)

// testPoolFull takes all the room in the pool from under a volume. A write of new
// blocks waits, longer than it would without any path, and goes on when there is
// room; everything else goes on meanwhile; and people are told why.
func testPoolFull(t *testing.T, w *world) {
	ctx := patience(t, 4*time.Minute)
	// The time for which I/O waits without any path is no bound here.
	must(t, w.SetProperty(ctx, "storage.nopathtimeout", "10"))
	volume, other, empty := w.create(t), w.create(t), w.create(t)
	for device, id := range map[string]string{"/dev/sdf": volume, "/dev/sdg": other, "/dev/sdh": empty} {
		_, err := w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &id, InstanceId: &w.instance, Device: &device})
		must(t, err)
	}
	for _, id := range []string{volume, other, empty} {
		must(t, w.AwaitPaths(ctx, id, 4, 4))
	}
	const prepare = `
dd if=/dev/urandom of=/tmp/content bs=1M count=8 status=none
for v; do dd if=/tmp/content of=/dev/mallee/$v bs=1M oflag=direct status=none; done`
	_, err := w.NC1.Run(ctx, "sh", "-ec", prepare, "sh", volume, other)
	must(t, err)
	w.fillPool(ctx, t)
	before := len(w.NC.Log(ctx))
	start := time.Now()
	writer, err := w.NC1.Spawn(ctx, "writer", "dd", "if=/tmp/content", "of=/dev/mallee/"+volume, "bs=1M", "seek=100", "oflag=direct", "status=none")
	must(t, err)

	// Another volume of the same node, on the same sessions.
	must(t, w.compare(ctx, other, 0))
	_, err = w.NC1.Run(ctx, "dd", "if=/tmp/content", "of=/dev/mallee/"+other, "bs=1M", "oflag=direct", "status=none")
	must(t, err)
	t.Logf("8 MiB of another volume read and written after %v", time.Since(start))
	w.detach(t, empty) // which has the storage controller look at the pool, too
	t.Logf("and one that was never written detached after %v", time.Since(start))
	must(t, scenario.Eventually(ctx, 500*time.Millisecond, func() (bool, error) {
		out, err := w.Tool(ctx, "mallee", "volume", "show", volume, "--output", "json")
		var v struct{ Status, Message string }
		if err == nil {
			err = json.Unmarshal([]byte(out), &v)
		}
		paths, pathsErr := w.Paths(ctx, volume)
		told := strings.Contains(v.Message, "is full") && v.Status == "impaired"
		for _, p := range paths {
			told = told && (p.State == mallee.PathUp || strings.HasSuffix(p.Reason, "; the pool is full"))
		}
		return told && len(paths) == 4, errors.Join(err, pathsErr, fmt.Errorf("%+v %+v", v, paths))
	}))
	t.Logf("told after %v", time.Since(start))
	must(t, w.AwaitPaths(ctx, other, 4, 4))
	_, err = w.NC1.Run(ctx, "dd", "if=/dev/mallee/"+volume, "of=/dev/null", "bs=1M", "count=2", "iflag=direct", "status=none")
	must(t, err)
	t.Logf("2 MiB of the volume itself read after %v", time.Since(start))

	if code, err := writer.Wait(patience(t, time.Until(start.Add(20*time.Second)))); err == nil {
		log, _ := writer.Log(ctx)
		t.Errorf("the write that had to wait has ended, exit code %d: %s", code, log)
	}
	if lines := strings.Count(w.NC.Log(ctx)[before:], `"path is `); lines > 20 {
		t.Errorf("%d lines about paths in %v", lines, time.Since(start))
	}
	must(t, w.emptyPool(ctx))
	code, err := writer.Wait(ctx)
	must(t, err)
	if code != 0 {
		log, _ := writer.Log(ctx)
		t.Errorf("the write that waited for room: exit code %d: %s", code, log)
	}
	must(t, w.compare(ctx, volume, 0))
	must(t, w.compare(ctx, volume, 100))
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	_, err = w.Tool(ctx, "euca-modify-property", "-r", scenario.Partition+".storage.nopathtimeout")
	must(t, err)
	w.detach(t, volume)
	w.detach(t, other)
	for _, id := range []string{volume, other} {
		_, err := w.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id})
		must(t, err)
	}
	w.remove(t, empty)
}

// fillPool takes all the room that the pool has.
func (w *world) fillPool(ctx context.Context, t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := w.emptyPool(ctx); err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	// The first bytes in a block of the pool take all of it. To zero the rest, which
	// nobody will read, would take most of the time.
	const fill = `
lvchange -q --yes --zero n mallee/mallee-pool
lvcreate -q --virtualsize 12G --thinpool mallee/mallee-pool --name filler
fio --name=fill --filename=/dev/mallee/filler --direct=1 --ioengine=libaio --iodepth=64 --bs=4k --rw=write:60k --size=12G >/dev/null || true
lvchange -q --yes --zero y mallee/mallee-pool
lvs --noheadings --options data_percent mallee/mallee-pool`
	result, err := w.SAN.Run(ctx, "sh", "-ec", fill)
	must(t, err)
	if got := strings.TrimSpace(result.Stdout); !strings.HasSuffix(got, "100.00") {
		t.Fatalf("the pool is full to %s %%", got)
	}
	t.Logf("the pool was filled in %v", time.Since(began))
}

// emptyPool gives back what fillPool has taken, if it has.
func (w *world) emptyPool(ctx context.Context) error {
	_, err := w.SAN.Run(ctx, "sh", "-ec", "if [ -e /dev/mallee/filler ]; then lvremove -q --yes mallee/filler; fi")
	return err
}

// compare compares the 8 MiB at a megabyte of a volume with what was to be written.
func (w *world) compare(ctx context.Context, volume string, megabyte int) error {
	_, err := w.NC1.Run(ctx, "sh", "-ec", `dd if=/dev/mallee/$1 bs=1M skip=$2 count=8 iflag=direct status=none | cmp - /tmp/content`,
		"sh", volume, fmt.Sprint(megabyte))
	return err
}
