// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mallee-io/mallee/test/scenario"
)

// testLoss loses the cloud controller with all that it knew, while a guest
// writes, and restores a backup into a new one.
func testLoss(t *testing.T, w *world) {
	ctx := patience(t, 5*time.Minute)
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	file := filepath.Join(t.TempDir(), "cloud.backup")
	_, err := w.Tool(ctx, "mallee", "backup", file)
	must(t, err)
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("a backup, which holds secrets, has mode %v", info.Mode())
	}

	fio, err := scenario.StartFio(ctx, w.NC1, scenario.Workload{Devices: []string{"/dev/mallee/" + volume}, Length: 40 * time.Second})
	must(t, err)
	late := w.create(t) // the backup does not know of it
	must(t, w.CLC.Kill(ctx))
	must(t, w.ForgetCLC())
	must(t, w.CLC.Start(ctx))
	out, err := w.Tool(ctx, "mallee", "restore", file)
	must(t, err)
	t.Logf("mallee restore: %s", out)
	must(t, w.AwaitAdmin(ctx))
	if w.ec2, err = w.EC2(); err != nil {
		t.Fatal(err)
	}
	must(t, w.AwaitVolume(ctx, w.ec2, volume, types.VolumeStateInUse))
	must(t, w.AwaitAttached(ctx, w.ec2, volume))
	instance, err := w.InstanceOf(ctx, "nc1")
	must(t, err)
	if instance != w.instance {
		t.Errorf("the node was %s and is %s", w.instance, instance)
	}
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	outcome, err := fio.Wait(ctx)
	must(t, err)
	intact(t, outcome)

	// What the backup did not know of is not destroyed.
	if _, err := w.SAN.Run(ctx, "lvs", "mallee/"+late); err != nil {
		t.Errorf("the volume that was made after the backup: %v", err)
	}
	_, err = w.SAN.Run(ctx, "lvremove", "-q", "-y", "mallee/"+late)
	must(t, err)
	w.detach(t, volume)
	w.remove(t, volume)
}
