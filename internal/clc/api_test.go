// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
)

// wantError checks that an error has a kind and tells all of what.
func wantError(t *testing.T, err error, kind mallee.Kind, tells ...string) {
	t.Helper()
	if mallee.KindOf(err) != kind || err == nil {
		t.Errorf("got error of kind %q, want %q: %v", mallee.KindOf(err), kind, err)
		return
	}
	for _, what := range tells {
		if !strings.Contains(err.Error(), what) {
			t.Errorf("%q does not tell %q", err, what)
		}
	}
}

func TestRefusals(t *testing.T) {
	c := newCluster(t)
	s, n, other := c.sc("sc1", partition), c.nc("nc1"), c.nc("nc2")
	far := c.connect("nc9", "ELSEWHERE", initiator("nc9"))
	farInstance := mallee.InstanceID(far.until("the first state", func(*cloudv1.NodeState) bool { return true }).InstanceId)
	attached, _ := c.attached(s, n)
	free := c.available(s)
	s.report(&cloudv1.PartitionReport{Pool: &cloudv1.Pool{SizeBytes: 50 * mallee.GiB}})
	creating, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 50})
	if err != nil {
		t.Fatal(err)
	}
	attach := func(v mallee.VolumeID, i mallee.InstanceID, device string) func() error {
		return func() error { _, err := c.AttachVolume(t.Context(), v, i, device); return err }
	}
	detach := func(v mallee.VolumeID, i mallee.InstanceID, device string) func() error {
		return func() error { _, err := c.DetachVolume(t.Context(), v, i, device); return err }
	}
	create := func(p string, size int) func() error {
		return func() error {
			_, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: p, SizeGiB: size})
			return err
		}
	}
	remove := func(v mallee.VolumeID) func() error {
		return func() error { return c.DeleteVolume(t.Context(), v) }
	}
	const noVolume, noInstance = mallee.VolumeID("vol-1a2b3c4d"), mallee.InstanceID("i-1a2b3c4d")
	for name, r := range map[string]struct {
		call  func() error
		kind  mallee.Kind
		tells []string
	}{
		"attach an unknown volume":         {attach(noVolume, n.instance, "/dev/sdf"), mallee.NotFound, []string{string(noVolume)}},
		"attach to an unknown instance":    {attach(free, noInstance, "/dev/sdf"), mallee.NotFound, []string{string(noInstance)}},
		"attach what is no volume id":      {attach("disk", n.instance, "/dev/sdf"), mallee.Malformed, []string{"disk"}},
		"attach to what is no instance id": {attach(free, "host", "/dev/sdf"), mallee.Malformed, []string{"host"}},
		"attach as a bad device":           {attach(free, n.instance, "a b"), mallee.Invalid, []string{"a b"}},
		"attach to a second node":          {attach(attached, other.instance, "/dev/sdf"), mallee.InUse, []string{string(attached) + " is attached to " + string(n.instance)}},
		"attach twice":                     {attach(attached, n.instance, "/dev/sdf"), mallee.InUse, []string{string(n.instance)}},
		"attach while creating":            {attach(creating.ID, n.instance, "/dev/sdf"), mallee.IncorrectState, []string{"creating"}},
		"attach under a name in use":       {attach(free, n.instance, "/dev/sdf"), mallee.Invalid, []string{"attachment point /dev/sdf is already in use", string(attached)}},
		"attach across partitions":         {attach(free, farInstance, "/dev/sdf"), mallee.ZoneMismatch, []string{partition, "ELSEWHERE"}},
		"detach what is not attached":      {detach(free, "", ""), mallee.IncorrectState, []string{string(free), "available"}},
		"detach from another instance":     {detach(attached, other.instance, ""), mallee.NotAttached, []string{string(n.instance), string(other.instance)}},
		"detach another device":            {detach(attached, "", "/dev/sdg"), mallee.NotAttached, []string{"/dev/sdf", "/dev/sdg"}},
		"delete while attached":            {remove(attached), mallee.InUse, []string{string(n.instance)}},
		"delete an unknown volume":         {remove(noVolume), mallee.NotFound, []string{string(noVolume)}},
		"create in an unknown partition":   {create("NOWHERE", 1), mallee.NotFound, []string{"NOWHERE"}},
		"create of no size":                {create(partition, 0), mallee.Invalid, []string{"0 GiB"}},
		"create beyond the limit":          {create(partition, 16385), mallee.Invalid, []string{"16385 GiB", "1 to 16384"}},
		"create beyond the pool":           {create(partition, 51), mallee.Exhausted, []string{"51 GiB", "50 GiB"}},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, r.call(), r.kind, r.tells...) })
	}
	t.Run("a volume that cannot be made", func(t *testing.T) {
		s.report(&cloudv1.PartitionReport{Volumes: []*cloudv1.VolumeReport{
			{VolumeId: string(creating.ID), Known: true, Failed: true, Message: "the pool is full"},
		}})
		if v := c.volume(creating.ID); v.State != mallee.VolumeError || v.Message != "the pool is full" {
			t.Errorf("it is %s: %q", v.State, v.Message)
		}
		wantError(t, attach(creating.ID, n.instance, "/dev/sdf")(), mallee.IncorrectState, "error")
		for range 2 { // a second time while it goes is no error
			if err := c.DeleteVolume(t.Context(), creating.ID); err != nil {
				t.Error(err)
			}
		}
		s.volume(creating.ID, false)
		if c.volume(creating.ID) != nil {
			t.Error("it is still there")
		}
	})
}

func TestADeviceNameIsGivenOnce(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	ids := make([]mallee.VolumeID, 5)
	for i := range ids {
		ids[i] = c.available(s)
	}
	var callers sync.WaitGroup
	var given atomic.Int32
	for _, id := range ids {
		callers.Go(func() {
			if _, err := c.AttachVolume(t.Context(), id, n.instance, "/dev/sdf"); err == nil {
				given.Add(1)
			}
		})
	}
	callers.Wait()
	if given.Load() != 1 {
		t.Errorf("%d volumes are /dev/sdf of one instance", given.Load())
	}
}

func TestClientToken(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	spec := mallee.VolumeSpec{Partition: partition, SizeGiB: 1, ClientToken: "any/thing at all"}
	first, err := c.CreateVolume(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	s.volume(first.ID, true)
	c.restart()
	again, err := c.CreateVolume(t.Context(), spec)
	if err != nil || again.ID != first.ID || again.State != mallee.VolumeAvailable {
		t.Errorf("the same call made %+v, %v", again, err)
	}
	spec.SizeGiB = 2
	_, err = c.CreateVolume(t.Context(), spec)
	wantError(t, err, mallee.Mismatch, string(first.ID), "1 GiB")
}

func TestNodes(t *testing.T) {
	c := newCluster(t)
	n1, n2 := c.nc("nc1"), c.nc("nc2")
	if n1.instance == n2.instance || !n1.instance.Valid() {
		t.Fatalf("two nodes are %s and %s", n1.instance, n2.instance)
	}
	list, err := c.Nodes(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if got := list[0]; got.Name != "nc1" || got.InstanceID != n1.instance || !got.Live || got.Seen.IsZero() ||
		got.Partition != partition || string(got.Initiator) != initiator("nc1") {
		t.Errorf("the first node is %+v", got)
	}

	t.Run("a node is seen now while it is connected, and until when afterwards", func(t *testing.T) {
		seen := func() time.Time {
			list, err := c.Nodes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return list[1].Seen
		}
		if first, second := seen(), seen(); !second.After(first) {
			t.Errorf("a connected node was seen at %s and then at %s", first, second)
		}
		c.hangUp("nc2", n2)
		if first, second := seen(), seen(); first.IsZero() || !second.Equal(first) {
			t.Errorf("a node that is away was seen at %s and then at %s", first, second)
		}
	})
	t.Run("a node that comes back keeps its id", func(t *testing.T) {
		before := n1.instance
		c.hangUp("nc1", n1)
		if n1 = c.nc("nc1"); n1.instance != before {
			t.Errorf("it is %s and was %s", n1.instance, before)
		}
	})
	t.Run("an initiator name has one node", func(t *testing.T) {
		err := c.connect("nc3", partition, initiator("nc1")).failure()
		wantError(t, err, mallee.InUse, initiator("nc1"), "nc1")
		if e, ok := errors.AsType[*mallee.Error](err); !ok || !strings.Contains(e.Hint, "/etc/iscsi/initiatorname.iscsi") {
			t.Errorf("nothing tells how to mend it: %v", err)
		}
	})
	t.Run("an initiator name that is given up can be taken", func(t *testing.T) {
		c.connect("nc2", partition, "iqn.2026-11.io.mallee:new").until("the first state", func(*cloudv1.NodeState) bool { return true })
		c.connect("nc3", partition, initiator("nc2")).until("the first state", func(*cloudv1.NodeState) bool { return true })
	})
	t.Run("but not while volumes are attached", func(t *testing.T) {
		c.attached(c.sc("sc1", partition), n1)
		c.hangUp("nc1", n1)
		wantError(t, c.connect("nc1", partition, "iqn.2026-11.io.mallee:other").failure(), mallee.InUse, initiator("nc1"))
		_, err := c.join(t.TempDir(), c.token(mallee.JoinTokenSpec{Role: rpc.NC, Name: "nc1", Partition: "OTHER"}), initiator("nc1"))
		wantError(t, err, mallee.InUse, partition)
	})
	t.Run("what is no iqn name", func(t *testing.T) {
		wantError(t, c.connect("nc4", partition, "iqn.2026-11.io.mallee:a/b").failure(), mallee.Invalid, "a/b")
	})
}

// A copied image brings a second machine with the same certificate and the same
// initiator name. Both bringing up the volume would be two writers.
func TestASecondMachineWithOneCertificateIsRefused(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	c.attached(s, n)
	for name, err := range map[string]error{
		"node":                             c.connect("nc1", partition, initiator("nc1")).failure(),
		"node with another initiator name": c.connect("nc1", partition, initiator("copy")).failure(),
		"storage controller":               c.sc("sc1", partition).failure(),
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, err, mallee.InUse)
			if e, ok := errors.AsType[*mallee.Error](err); !ok || !strings.Contains(e.Hint, "mallee token create") {
				t.Errorf("nothing tells how to mend it: %v", err)
			}
		})
	}
	t.Run("it gets in when the first has gone", func(t *testing.T) {
		c.hangUp("nc1", n)
		_, err := n.client.ReportNode(t.Context(), &cloudv1.NodeReport{})
		wantError(t, err, mallee.IncorrectState, "nc1")
		c.nc("nc1")
	})
}

func TestAgentsKeepToTheirPart(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })

	wantError(t, c.sc("sc2", partition).failure(), mallee.InUse, "sc1")
	_, err := c.dial(rpc.SC, "sc2", partition).ReportPartition(t.Context(), &cloudv1.PartitionReport{Partition: partition})
	wantError(t, err, mallee.IncorrectState, "sc2")
	_, err = c.dial(rpc.NC, "nc1", partition).ReportPartition(t.Context(), &cloudv1.PartitionReport{Partition: partition})
	wantError(t, err, mallee.Denied, "nc1")
	_, err = c.dial(rpc.SC, "sc1", partition).ReportNode(t.Context(), &cloudv1.NodeReport{})
	wantError(t, err, mallee.Denied, "sc1")
}
