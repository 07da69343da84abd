// SPDX-License-Identifier: Apache-2.0

// Package e2e tests a whole cloud on real kernels: what an admin and a tenant
// do with stock tools, and what becomes of it when parts and paths fail.
package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/test/scenario"
)

func TestMain(m *testing.M) {
	if err := lab.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// world is the cloud that the tests share, one after the other: it takes longer
// to boot than most of them to run.
type world struct {
	*scenario.Cloud
	ec2      *ec2.Client
	instance string
}

// TestLabCloud runs all tests of the package against one cloud. Each leaves it as
// it was: configured, all parts and paths up, without volumes.
func TestLabCloud(t *testing.T) {
	w := &world{}
	var err error
	if w.Cloud, err = scenario.Start(t.Context(), scenario.Options{Bin: "../../build", Nodes: 2, Wide: true, Log: os.Stderr}); err != nil {
		t.Fatal(err)
	}
	if w.ec2, err = w.EC2(); err != nil {
		t.Fatal(err)
	}
	configure(t, w)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"Properties", testProperties},
		{"BadInput", testBadInput},
		{"BadSignature", testBadSignature},
		{"Life", testLife},
		{"InUse", testInUse},
		{"PathChange", testPathChange},
		{"PathCheck", testPathCheck},
		{"IPv6", testIPv6},
		{"ChangePathsHowTo", testChangePathsHowTo},
		{"NoPath", testNoPath},
		{"Fabric", testFabric},
		{"Kill", testKill},
		{"NodeRestart", testNodeRestart},
		{"NodeReboot", testNodeReboot},
		{"Restore", testRestore},
		{"SANReboot", testSANReboot},
		{"SANHost", testSANHost},
		{"Grow", testGrow},
		{"Secrets", testSecrets},
		{"TenVolumes", testTenVolumes},
		{"Loss", testLoss},
	} {
		if !t.Run(test.name, func(t *testing.T) { test.run(t, w) }) {
			w.Tails(os.Stderr)
		}
		if t.Failed() {
			return // the cloud is no longer as the next test expects it
		}
	}
}

func configure(t *testing.T, w *world) {
	t.Helper()
	ctx := patience(t, time.Minute)
	for name, value := range map[string]string{
		"storage.sanhost": "10.109.1.26,10.109.1.27",
		"storage.ncpaths": "10.107.1.200,10.107.1.201,10.108.1.200,10.108.1.201",
	} {
		must(t, scenario.Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
			err := w.SetProperty(ctx, name, value)
			return err == nil, err
		}))
	}
	var err error
	if w.instance, err = w.Instance(ctx); err != nil {
		t.Fatal(err)
	}
}

// patience returns a context for one step of a test.
func patience(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes a volume of 1 GiB and waits for it.
func (w *world) create(t *testing.T) string {
	t.Helper()
	ctx := patience(t, time.Minute)
	out, err := w.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: aws.String(scenario.Partition), Size: aws.Int32(1),
	})
	must(t, err)
	must(t, w.AwaitVolume(ctx, w.ec2, *out.VolumeId, types.VolumeStateAvailable))
	return *out.VolumeId
}

// attach attaches a volume to the first node and waits for it.
func (w *world) attach(t *testing.T, volume string) {
	t.Helper()
	w.attachTo(t, volume, w.instance)
}

func (w *world) attachTo(t *testing.T, volume, instance string) {
	t.Helper()
	ctx := patience(t, time.Minute)
	_, err := w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{
		VolumeId: &volume, InstanceId: &instance, Device: aws.String("/dev/sdf"),
	})
	must(t, err)
	must(t, w.AwaitAttached(ctx, w.ec2, volume))
}

func (w *world) detach(t *testing.T, volume string) {
	t.Helper()
	ctx := patience(t, 2*time.Minute)
	_, err := w.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &volume})
	must(t, err)
	must(t, w.AwaitVolume(ctx, w.ec2, volume, types.VolumeStateAvailable))
}

// remove deletes a volume and asserts that nothing is left on any machine.
func (w *world) remove(t *testing.T, volume string) {
	t.Helper()
	w.delete(t, volume)
	w.clean(t)
}

// delete deletes a volume and waits until it is gone.
func (w *world) delete(t *testing.T, volume string) {
	t.Helper()
	ctx := patience(t, time.Minute)
	_, err := w.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &volume})
	must(t, err)
	must(t, scenario.Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
		_, err := w.Volume(ctx, w.ec2, volume)
		return code(err) == "InvalidVolume.NotFound", err
	}))
}

// instanceOf returns the instance id of a node.
func (w *world) instanceOf(t *testing.T, node string) string {
	t.Helper()
	id, err := w.InstanceOf(patience(t, time.Minute), node)
	must(t, err)
	return id
}

// clean asserts that nothing is left on any machine. A session that a crash has
// left goes at the node's next sweep.
func (w *world) clean(t *testing.T) {
	t.Helper()
	ctx := patience(t, time.Minute)
	must(t, scenario.Eventually(ctx, time.Second, func() (bool, error) {
		left, err := w.Leftovers(ctx)
		return len(left["san"]) == 0 && len(left["nc1"]) == 0 && len(left["nc2"]) == 0, fmt.Errorf("left over: %v %w", left, err)
	}))
}
