// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/test/scenario"
)

// The original's file, on every node.
const eucalyptusConf = "/etc/eucalyptus/eucalyptus.conf"

// testPathChange changes the list of paths again and again under eight volumes of
// two nodes that are written to: volumes gain and lose paths, and no guest notices.
func testPathChange(t *testing.T, w *world) {
	ctx := patience(t, 12*time.Minute)
	before, err := w.Tool(ctx, "mallee", "property", "get", "PARTI00.storage.ncpaths")
	must(t, err)
	w.setPaths(t, "10.107.1.200,10.108.1.200")
	byNode := w.attachMany(t, 6, 2)
	volumes := slices.Concat(byNode...)
	w.awaitPathSet(t, volumes, "10.107.1.200:3260", "10.108.1.200:3260")

	var guests []*guest
	for i, list := range byNode {
		guests = append(guests, startGuest(ctx, w.Nodes[i].Machine, list))
	}
	w.mapLabels(t, "  STORAGE_INTERFACES = iface0=eth1, iface1=eth2 # as on every node\n")
	for _, step := range []struct {
		name string
		do   func()
		want []string // portal, or portal and net device
	}{
		{
			"to four", func() { w.setPaths(t, "10.107.1.200,10.107.1.201,10.108.1.200,10.108.1.201") },
			[]string{"10.107.1.200:3260", "10.107.1.201:3260", "10.108.1.200:3260", "10.108.1.201:3260"},
		},
		{
			"to two others", func() { w.setPaths(t, "10.108.1.201, 10.107.1.201,") },
			[]string{"10.107.1.201:3260", "10.108.1.201:3260"},
		},
		{
			"to labelled ones", func() { w.setPaths(t, "iface0:10.107.1.200,iface1:10.108.1.200:3260") },
			[]string{"10.107.1.200:3260 eth1", "10.108.1.200:3260 eth2"},
		},
		{
			"a label to another device", func() { w.mapLabels(t, "STORAGE_INTERFACES=\"iface0=eth3,iface1=eth2\"\n") },
			[]string{"10.107.1.200:3260 eth3", "10.108.1.200:3260 eth2"},
		},
		{"to one", func() { w.setPaths(t, "10.107.1.200") }, []string{"10.107.1.200:3260"}},
		{
			"to nopath", func() { w.setPaths(t, "nopath") },
			[]string{
				"10.107.1.200:3260", "10.107.1.201:3260", "10.108.1.200:3260", "10.108.1.201:3260",
				"[fd00:10:106::200]:3260", "[fd00:10:106::201]:3260",
			},
		},
		{"back to what it was", func() { w.setPaths(t, strings.TrimSpace(before)) }, []string{
			"10.107.1.200:3260", "10.107.1.201:3260", "10.108.1.200:3260", "10.108.1.201:3260",
		}},
	} {
		start := time.Now()
		step.do()
		w.awaitPathSet(t, volumes, step.want...)
		t.Logf("%s: all nodes were done after %v", step.name, time.Since(start).Round(100*time.Millisecond))
	}
	for i, g := range guests {
		outcome, err := g.stop()
		must(t, err)
		t.Logf("%s:", w.Nodes[i].Machine.Spec.Name)
		intact(t, outcome)
	}
	w.mapLabels(t, "")
	w.detachAll(t, volumes)
	// No iface record is left of the labels, and no session of the lists.
	for _, n := range w.Nodes {
		must(t, scenario.Eventually(ctx, time.Second, func() (bool, error) {
			left, err := n.Run(ctx, "sh", "-c", "ls /etc/iscsi/ifaces /sys/class/iscsi_session 2>/dev/null")
			return err == nil && !strings.Contains(left.Stdout, "eth") && !strings.Contains(left.Stdout, "session1"), fmt.Errorf("left over: %q %w", left.Stdout, err)
		}))
	}
}

// testIPv6 runs a volume on a fabric that has IPv6 alone, cuts one of its two
// paths, and heals it.
func testIPv6(t *testing.T, w *world) {
	ctx := patience(t, 4*time.Minute)
	before, err := w.Tool(ctx, "mallee", "property", "get", "PARTI00.storage.ncpaths")
	must(t, err)
	w.setPaths(t, strings.Join(scenario.DataAddrs6, ","))
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 2, 2))
	fio, err := scenario.StartFio(ctx, w.NC1, scenario.Workload{Devices: []string{"/dev/mallee/" + volume}, Length: 25 * time.Second})
	must(t, err)
	must(t, w.Lab.Cut(ctx, "fd00:10:106::200"))
	must(t, w.AwaitPaths(ctx, volume, 2, 1))
	must(t, w.Lab.Heal(ctx, "fd00:10:106::200"))
	must(t, w.AwaitPaths(ctx, volume, 2, 2))
	outcome, err := fio.Wait(ctx)
	must(t, err)
	intact(t, outcome)
	w.detach(t, volume)
	w.remove(t, volume)
	w.setPaths(t, strings.TrimSpace(before))
}

// testPathCheck looks before it changes: a list that would leave a node without a
// path is refused, by both calls, and one that is forced costs no path that is
// there.
func testPathCheck(t *testing.T, w *world) {
	ctx := patience(t, 5*time.Minute)
	const name = "PARTI00.storage.ncpaths"
	before, err := w.Tool(ctx, "mallee", "property", "get", name)
	must(t, err)
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	unchanged := func() {
		t.Helper()
		now, err := w.Tool(ctx, "mallee", "property", "get", name)
		must(t, err)
		if now != before {
			t.Errorf("%s is %q and was %q", name, now, before)
		}
	}

	// Nobody has 10.107.1.250, and no node has the label.
	for _, list := range []string{"10.107.1.250,10.107.1.251", "iface0:10.107.1.200,iface1:10.108.1.200"} {
		for _, argv := range [][]string{
			{"euca-modify-property", "-p", name + "=" + list},
			{"mallee", "property", "set", name, list},
		} {
			_, err := w.Tool(ctx, argv[0], argv[1:]...)
			refused, ok := errors.AsType[*scenario.ToolError](err)
			if !ok {
				t.Fatalf("%q: %v, want a refusal", argv, err)
			}
			element, _, _ := strings.Cut(list, ",")
			for _, want := range []string{"nc1", "nc2", element, "mallee property set --force"} {
				if !strings.Contains(refused.Stderr, want) {
					t.Errorf("%q: the refusal does not tell %q:\n%s", argv, want, refused.Stderr)
				}
			}
			unchanged()
		}
	}
	out, err := w.Tool(ctx, "mallee", "path", "check", "--output", "json")
	must(t, err)
	if n := strings.Count(out, `"session"`); n < 4 {
		t.Errorf("%d paths are known by their sessions, want the 4 of nc1 at least:\n%s", n, out)
	}
	if n := strings.Count(out, `"neighbour"`); n < 4 {
		t.Errorf("%d paths are known by their neighbours' answers, want the 4 of nc2, which has no session:\n%s", n, out)
	}

	// One path that is not there refuses nothing, and is told.
	out, err = w.Tool(ctx, "mallee", "path", "check", "--set", "ncpaths=10.107.1.200,10.107.1.250")
	must(t, err)
	if !strings.Contains(out, "10.107.1.250") || !strings.Contains(out, string(mallee.Unreachable)) {
		t.Errorf("the check does not tell that 10.107.1.250 does not answer:\n%s", out)
	}
	unchanged()

	// Forced, a list of nothing that answers takes nothing away.
	_, err = w.Tool(ctx, "mallee", "property", "set", "--force", name, "10.107.1.250")
	must(t, err)
	must(t, scenario.Eventually(ctx, 300*time.Millisecond, func() (bool, error) {
		paths, err := w.Paths(ctx, volume)
		draining := 0
		for _, p := range paths {
			if p.State == mallee.PathDraining && p.Reason != "" {
				draining++
			}
		}
		return draining == 4 && len(paths) == 5, fmt.Errorf("%d paths are kept: %+v %w", draining, paths, err)
	}))
	if _, err := w.NC1.Run(ctx, "dd", "if=/dev/mallee/"+volume, "of=/dev/null", "bs=1M", "count=4", "iflag=direct"); err != nil {
		t.Errorf("the volume cannot be read over the paths that were kept: %v", err)
	}
	_, err = w.Tool(ctx, "mallee", "property", "set", name, strings.TrimSpace(before))
	must(t, err)
	must(t, w.AwaitPaths(ctx, volume, 4, 4))

	// A label that has gone from the file takes no path away, and holds up no detach.
	w.mapLabels(t, "STORAGE_INTERFACES=\"iface0=eth1,iface1=eth2\"\n")
	w.setPaths(t, "iface0:10.107.1.200,iface1:10.108.1.200")
	w.awaitPathSet(t, []string{"/dev/mallee/" + volume}, "10.107.1.200:3260 eth1", "10.108.1.200:3260 eth2")
	w.mapLabels(t, "STORAGE_INTERFACES=\"iface1=eth2\"\n")
	must(t, scenario.Eventually(ctx, 300*time.Millisecond, func() (bool, error) {
		paths, err := w.Paths(ctx, volume)
		states := map[mallee.PathState]string{}
		for _, p := range paths {
			states[p.State] += p.Text + p.Portal + p.Reason
		}
		return strings.Contains(states[mallee.PathUnresolved], "iface0") && states[mallee.PathUp] != "" &&
			strings.Contains(states[mallee.PathDraining], "10.107.1.200"), fmt.Errorf("paths are %+v %w", paths, err)
	}))
	w.detach(t, volume)
	w.remove(t, volume)
	_, err = w.Tool(ctx, "mallee", "property", "set", "--force", name, strings.TrimSpace(before))
	must(t, err)
	w.mapLabels(t, "")
}

// setPaths sets ncpaths as an admin does. Nodes tell within seconds that labels
// are mapped anew, until when a set of them is refused.
func (w *world) setPaths(t *testing.T, value string) {
	t.Helper()
	ctx := patience(t, 30*time.Second)
	must(t, scenario.Eventually(ctx, 500*time.Millisecond, func() (bool, error) {
		err := w.SetProperty(ctx, "storage.ncpaths", value)
		return err == nil, err
	}))
}

// mapLabels replaces the original's file on each node; nothing is restarted.
func (w *world) mapLabels(t *testing.T, text string) {
	t.Helper()
	for _, n := range w.Nodes {
		must(t, n.WriteFile(patience(t, 10*time.Second), eucalyptusConf, []byte(text), 0o644))
	}
}

// attachMany makes volumes and attaches as many to each node as is told. It
// returns the devices on each.
func (w *world) attachMany(t *testing.T, numbers ...int) (byNode [][]string) {
	t.Helper()
	ctx := patience(t, 3*time.Minute)
	for i, n := range numbers {
		instance := w.instanceOf(t, w.Nodes[i].Machine.Spec.Name)
		var devices []string
		for k := range n {
			id := w.create(t)
			_, err := w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{
				VolumeId: &id, InstanceId: &instance, Device: aws.String("/dev/sd" + string(rune('f'+k))),
			})
			must(t, err)
			devices = append(devices, "/dev/mallee/"+id)
		}
		byNode = append(byNode, devices)
	}
	for _, device := range slices.Concat(byNode...) {
		must(t, w.AwaitAttached(ctx, w.ec2, strings.TrimPrefix(device, "/dev/mallee/")))
	}
	return byNode
}

// detachAll detaches and deletes volumes, named by their devices, and asserts that
// nothing is left.
func (w *world) detachAll(t *testing.T, devices []string) {
	t.Helper()
	ctx := patience(t, 4*time.Minute)
	for _, device := range devices {
		id := strings.TrimPrefix(device, "/dev/mallee/")
		_, err := w.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &id})
		must(t, err)
	}
	for _, device := range devices {
		id := strings.TrimPrefix(device, "/dev/mallee/")
		must(t, w.AwaitVolume(ctx, w.ec2, id, "available"))
		w.delete(t, id)
	}
	w.clean(t)
}

// awaitPathSet waits until each volume has just these paths, and all are up: a
// portal, or a portal, a blank and the net device.
func (w *world) awaitPathSet(t *testing.T, devices []string, want ...string) {
	t.Helper()
	ctx := patience(t, 2*time.Minute)
	must(t, scenario.Eventually(ctx, 300*time.Millisecond, func() (bool, error) {
		sets, err := w.pathSets(ctx)
		if err != nil {
			return false, err
		}
		for _, device := range devices {
			have := slices.Sorted(maps.Keys(sets[strings.TrimPrefix(device, "/dev/mallee/")]))
			if !slices.Equal(have, slices.Sorted(slices.Values(want))) {
				return false, fmt.Errorf("%s has the paths %q, want %q", device, have, want)
			}
		}
		return true, nil
	}))
}

// pathSets returns for each volume its paths, with their states where they are
// not up.
func (w *world) pathSets(ctx context.Context) (map[string]map[string]bool, error) {
	out, err := w.Tool(ctx, "mallee", "path", "list", "--output", "json")
	if err != nil {
		return nil, err
	}
	var paths []scenario.Path
	if err := json.Unmarshal([]byte(out), &paths); err != nil {
		return nil, err
	}
	sets := map[string]map[string]bool{}
	for _, p := range paths {
		key := strings.TrimSpace(p.Portal + " " + p.NetDevice)
		if p.State != mallee.PathUp {
			key += " " + string(p.State) + ": " + p.Reason
		}
		if sets[p.VolumeID] == nil {
			sets[p.VolumeID] = map[string]bool{}
		}
		sets[p.VolumeID][key] = true
	}
	return sets, nil
}
