// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mallee-io/mallee/test/scenario"
)

// testLife walks a volume's whole life with the stock aws CLI.
func testLife(t *testing.T, w *world) {
	ctx := patience(t, 3*time.Minute)
	call := func(args ...string) string {
		t.Helper()
		out, err := w.AWS(ctx, args...)
		must(t, err)
		return out
	}
	var volume struct {
		ID string `json:"VolumeId"`
	}
	must(t, json.Unmarshal([]byte(call("create-volume", "--size", "1", "--availability-zone", scenario.Partition)), &volume))
	id := volume.ID
	must(t, w.AwaitVolume(ctx, w.ec2, id, types.VolumeStateAvailable)) // the CLI alone looks every 15 s
	call("wait", "volume-available", "--volume-ids", id)
	call("attach-volume", "--volume-id", id, "--instance-id", w.instance, "--device", "/dev/sdf")
	must(t, w.AwaitAttached(ctx, w.ec2, id))
	must(t, w.AwaitPaths(ctx, id, 4, 4))

	// What is written through the map is what is read back, and no host opens it.
	must(t, w.Content(ctx, "/dev/mallee/"+id))
	fio, err := scenario.StartFio(ctx, w.NC1, scenario.Workload{
		Devices: []string{"/dev/mallee/" + id}, Offset: scenario.ContentSize, Length: 10 * time.Second,
	})
	must(t, err)
	outcome, err := fio.Wait(ctx)
	must(t, err)
	intact(t, outcome)
	opened, err := w.Opened(ctx)
	must(t, err)
	if len(opened) > 0 {
		t.Errorf("the hosts have opened %q", opened)
	}
	// A physical volume on the whole of it is what LVM finds without a partition.
	must(t, w.WholeDiskPV(ctx, "/dev/mallee/"+id))
	opened, err = w.Opened(ctx)
	must(t, err)
	if len(opened) > 0 {
		t.Errorf("the hosts have opened %q", opened)
	}
	if out := call("describe-instances", "--instance-ids", w.instance); !strings.Contains(out, id) {
		t.Errorf("describe-instances does not show %s:\n%s", id, out)
	}
	call("detach-volume", "--volume-id", id)
	must(t, w.AwaitVolume(ctx, w.ec2, id, types.VolumeStateAvailable))
	call("wait", "volume-available", "--volume-ids", id)
	call("delete-volume", "--volume-id", id)
	call("wait", "volume-deleted", "--volume-ids", id)
	w.clean(t)
}

// testInUse follows the call of an attach through the logs of all parts, and then
// detaches the device while a process has it open.
func testInUse(t *testing.T, w *world) {
	ctx := patience(t, 2*time.Minute)
	volume := w.create(t)
	out, err := w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &w.instance, Device: aws.String("/dev/sdf")})
	must(t, err)
	id, ok := middleware.GetRequestIDMetadata(out.ResultMetadata)
	if !ok {
		t.Fatal("the reply to AttachVolume carries no request id")
	}
	must(t, w.AwaitAttached(ctx, w.ec2, volume))
	for _, part := range []*scenario.Part{w.CLC, w.SC, w.SP, w.NC} {
		if log := part.Log(ctx); !strings.Contains(log, `"request_id":"`+id+`"`) {
			t.Errorf("no line of %s's log carries request_id %q", part.Name, id)
		}
	}
	holder, err := w.NC1.Spawn(ctx, "holder", "sh", "-c", "exec 3</dev/mallee/"+volume+"; exec sleep 600")
	must(t, err)
	must(t, scenario.Eventually(ctx, 100*time.Millisecond, func() (bool, error) {
		_, err := w.NC1.Run(ctx, "test", "-b", "/proc/"+strconv.Itoa(holder.PID)+"/fd/3")
		return err == nil, err
	}))
	_, err = w.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &volume})
	must(t, err)
	must(t, scenario.Eventually(ctx, 300*time.Millisecond, func() (bool, error) {
		out, err := w.Tool(ctx, "mallee", "volume", "show", volume)
		return strings.Contains(out, "in use by process "+strconv.Itoa(holder.PID)+" (sleep)"), errors.Join(err, errors.New(out))
	}))
	must(t, w.AwaitPaths(ctx, volume, 4, 4)) // nothing was taken from its user
	must(t, holder.Kill(ctx))
	must(t, w.AwaitVolume(ctx, w.ec2, volume, "available"))
	w.remove(t, volume)
}
