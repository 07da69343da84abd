// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mallee-io/mallee/test/scenario"
)

// testTenVolumes walks ten volumes through their whole life with stock tools, on
// two nodes, while all ten are there: four with the aws CLI, five with boto3, and
// one with our own.
func testTenVolumes(t *testing.T, w *world) {
	ctx := patience(t, 8*time.Minute)
	var made []string // by the aws CLI
	for n := range 4 {
		out, err := w.AWS(ctx, "create-volume", "--size", "1", "--availability-zone", scenario.Partition, "--volume-type", "gp3",
			"--client-token", fmt.Sprintf("cli-%d", n),
			"--tag-specifications", fmt.Sprintf("ResourceType=volume,Tags=[{Key=walk,Value=cli},{Key=n,Value=%d}]", n))
		must(t, err)
		var volume struct {
			ID   string `json:"VolumeId"`
			Tags []struct{ Key, Value string }
		}
		must(t, json.Unmarshal([]byte(out), &volume))
		if len(volume.Tags) != 2 {
			t.Errorf("%s was made with the tags %v", volume.ID, volume.Tags)
		}
		made = append(made, volume.ID)
	}
	aws := func(args ...string) string {
		t.Helper()
		out, err := w.AWS(ctx, args...)
		must(t, err)
		return strings.TrimSpace(out)
	}
	available := func() { // the CLI alone looks every 15 s
		t.Helper()
		for _, id := range made {
			must(t, w.AwaitVolume(ctx, w.ec2, id, types.VolumeStateAvailable))
		}
		aws(append([]string{"wait", "volume-available", "--volume-ids"}, made...)...)
	}
	available()
	second, err := w.InstanceOf(ctx, "nc2")
	must(t, err)
	for n, id := range made {
		instance := w.instance
		if n%2 == 1 {
			instance = second
		}
		aws("attach-volume", "--volume-id", id, "--instance-id", instance, "--device", "/dev/sd"+string(rune('f'+n)))
	}
	for _, id := range made {
		must(t, w.AwaitAttached(ctx, w.ec2, id))
		must(t, w.AwaitPaths(ctx, id, 4, 4))
	}

	own, err := w.Tool(ctx, "mallee", "volume", "create", "--partition", scenario.Partition, "--size", "1", "--tag", "walk=mallee")
	must(t, err)
	own = strings.TrimSpace(own)
	_, err = w.Tool(ctx, "mallee", "volume", "attach", own, second)
	must(t, err)

	out, err := w.Python(ctx, "testdata/walk.py", scenario.Endpoint, scenario.Partition, w.instance, "5")
	must(t, err)
	if ids := strings.Fields(out); len(ids) != 5 {
		t.Errorf("boto3 made %q", ids)
	}

	// Five are left: as many as the filters and the pages of the CLI find.
	if got := aws("describe-volumes", "--filters", "Name=tag:walk,Values=cli", "Name=attachment.instance-id,Values="+second,
		"--query", "length(Volumes)"); got != "2" {
		t.Errorf("%s of our volumes are on the second node, want 2", got)
	}
	if got := aws("describe-volumes", "--page-size", "5", "--query", "length(Volumes)"); got != "5" {
		t.Errorf("%s volumes in pages, want 5", got)
	}
	if got := aws("describe-volume-status", "--volume-ids", made[0], "--query", "VolumeStatuses[0].VolumeStatus.Status"); got != `"ok"` {
		t.Errorf("the status of a volume with all paths is %s", got)
	}
	properties, err := w.Tool(ctx, "euca-describe-properties", scenario.Partition+".storage.sanhost")
	must(t, err)
	if want := "PROPERTY\tPARTI00.storage.sanhost\t" + strings.Join(scenario.AdminAddrs, ",") + "\n"; properties != want {
		t.Errorf("euca-describe-properties printed %q, want %q", properties, want)
	}

	aws("modify-volume", "--volume-id", made[0], "--size", "2")
	must(t, scenario.Eventually(ctx, 500*time.Millisecond, func() (bool, error) {
		state, err := w.AWS(ctx, "describe-volumes-modifications", "--volume-ids", made[0], "--query", "VolumesModifications[0].ModificationState")
		return strings.TrimSpace(state) == `"completed"`, fmt.Errorf("the modification is %s %w", state, err)
	}))
	if got := aws("describe-volumes", "--volume-ids", made[0], "--query", "Volumes[0].Size"); got != "2" {
		t.Errorf("after its growth a volume has %s GiB", got)
	}

	_, err = w.Tool(ctx, "mallee", "volume", "detach", own)
	must(t, err)
	_, err = w.Tool(ctx, "mallee", "volume", "delete", own)
	must(t, err)
	for _, id := range made {
		aws("detach-volume", "--volume-id", id)
	}
	available()
	for _, id := range made {
		aws("delete-volume", "--volume-id", id)
	}
	for _, id := range made {
		aws("wait", "volume-deleted", "--volume-ids", id)
	}
	w.clean(t)
}
