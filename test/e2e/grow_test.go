// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mallee-io/mallee/test/scenario"
)

// testGrow grows a volume while a guest writes to it, with all paths, and with
// half of them while the parts that have to do it are killed.
func testGrow(t *testing.T, w *world) {
	ctx := patience(t, 6*time.Minute)
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	fio, err := scenario.StartFio(ctx, w.NC1, scenario.Workload{Devices: []string{"/dev/mallee/" + volume}, Length: 30 * time.Second})
	must(t, err)
	w.grow(ctx, t, volume, 2)
	w.awaitSize(ctx, t, volume, 2)

	must(t, w.Lab.CutFabric(ctx, "fab2"))
	must(t, w.AwaitPaths(ctx, volume, 4, 2))
	w.grow(ctx, t, volume, 3)
	for _, part := range []*scenario.Part{w.SP, w.NC} {
		must(t, part.Kill(ctx))
		must(t, part.Start(ctx))
	}
	must(t, w.Lab.HealFabric(ctx, "fab2"))
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	w.awaitSize(ctx, t, volume, 3)
	outcome, err := fio.Wait(ctx)
	must(t, err)
	intact(t, outcome)

	// The last of the new blocks is there on every path.
	_, err = w.NC1.Run(ctx, "sh", "-ec", `
for d in "$1" $(multipathd show paths format "%d %w" | sed -n "s/^\(sd[a-z]*\) .*/\/dev\/\1/p"); do
	dd if=$d of=/dev/null bs=1M skip=3071 count=1 iflag=direct status=none
done`, "sh", "/dev/mallee/"+volume)
	must(t, err)

	_, err = w.ec2.ModifyVolume(ctx, &ec2.ModifyVolumeInput{VolumeId: &volume, Size: aws.Int32(1)})
	if code(err) != "InvalidParameterValue" {
		t.Errorf("a volume that shall shrink: %v", err)
	}
	w.detach(t, volume)
	w.remove(t, volume)
}

func (w *world) grow(ctx context.Context, t *testing.T, volume string, gib int32) {
	t.Helper()
	_, err := w.ec2.ModifyVolume(ctx, &ec2.ModifyVolumeInput{VolumeId: &volume, Size: &gib})
	must(t, err)
}

// awaitSize waits until the growth is told to be complete, and then sees the
// size on the node.
func (w *world) awaitSize(ctx context.Context, t *testing.T, volume string, gib int64) {
	t.Helper()
	must(t, scenario.Eventually(ctx, 300*time.Millisecond, func() (bool, error) {
		out, err := w.ec2.DescribeVolumesModifications(ctx, &ec2.DescribeVolumesModificationsInput{VolumeIds: []string{volume}})
		if err != nil || len(out.VolumesModifications) != 1 {
			return false, fmt.Errorf("no modification: %w", err)
		}
		m := out.VolumesModifications[0]
		return m.ModificationState == types.VolumeModificationStateCompleted && int64(aws.ToInt32(m.TargetSize)) == gib,
			fmt.Errorf("the modification to %d GiB is %s: %s", aws.ToInt32(m.TargetSize), m.ModificationState, aws.ToString(m.StatusMessage))
	}))
	result, err := w.NC1.Run(ctx, "blockdev", "--getsize64", "/dev/mallee/"+volume)
	must(t, err)
	if got := strings.TrimSpace(result.Stdout); got != strconv.FormatInt(gib<<30, 10) {
		t.Errorf("the device has %s bytes, want %d GiB", got, gib)
	}
}
