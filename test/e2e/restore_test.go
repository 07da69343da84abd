// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/mallee-io/mallee/test/scenario"
)

// testRestore restores a backup under the feet of a cloud that has gone on since:
// what is attached stays attached, whether the backup knows it or not.
func testRestore(t *testing.T, w *world) {
	ctx := patience(t, 5*time.Minute)
	known, unknown := w.create(t), w.create(t)
	w.attach(t, known)
	must(t, w.AwaitPaths(ctx, known, 4, 4))
	backup := filepath.Join(t.TempDir(), "clc.mallee")
	_, err := w.Tool(ctx, "mallee", "backup", backup)
	must(t, err)

	second, err := w.InstanceOf(ctx, "nc2")
	must(t, err)
	attachToSecond := func() {
		t.Helper()
		_, err := w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &unknown, InstanceId: &second, Device: aws.String("/dev/sdf")})
		must(t, err)
		must(t, w.AwaitPaths(ctx, unknown, 4, 4))
	}
	attachToSecond()
	fio, err := scenario.StartFio(ctx, w.NC1, scenario.Workload{Devices: []string{"/dev/mallee/" + known}, Length: 25 * time.Second})
	must(t, err)
	reader, err := w.Nodes[1].Spawn(ctx, "reader", "sh", "-ec", "while dd if=/dev/mallee/"+unknown+" of=/dev/null bs=4k count=1 iflag=direct; do sleep 0.2; done; touch /tmp/reader-failed")
	must(t, err)

	if _, err := w.Tool(ctx, "mallee", "restore", backup); !refusedWith(err, "this cloud controller holds 2 volumes") {
		t.Errorf("a restore without --force: %v", err)
	}
	_, err = w.Tool(ctx, "mallee", "restore", "--force", backup)
	must(t, err)
	must(t, w.AwaitPaths(ctx, known, 4, 4)) // its node has come back and told

	// The backup says that the other one is free, and it is not.
	_, err = w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &unknown, InstanceId: &w.instance, Device: aws.String("/dev/sdg")})
	must(t, err)
	must(t, scenario.Eventually(ctx, time.Second, func() (bool, error) {
		out, err := w.Tool(ctx, "mallee", "volume", "show", unknown)
		return strings.Contains(out, "no attachment names"), errors.Join(err, errors.New(out))
	}))
	w.detach(t, unknown)
	attachToSecond()

	outcome, err := fio.Wait(ctx)
	must(t, err)
	intact(t, outcome)
	must(t, reader.Kill(ctx))
	if _, err := w.Nodes[1].Run(ctx, "test", "!", "-e", "/tmp/reader-failed"); err != nil {
		t.Error("a read of the volume that the backup does not know as attached has failed")
	}
	w.detach(t, known)
	w.detach(t, unknown)
	_, err = w.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &unknown})
	must(t, err)
	w.remove(t, known)
}

// refusedWith tells whether one of our tools has failed and said so.
func refusedWith(err error, text string) bool {
	failure, ok := errors.AsType[*scenario.ToolError](err)
	return ok && strings.Contains(failure.Stderr, text)
}
