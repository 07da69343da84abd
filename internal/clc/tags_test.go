// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

func TestTags(t *testing.T) {
	c := newCluster(t)
	s, n := c.sc("sc1", partition), c.nc("nc1")
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	spec := mallee.VolumeSpec{Partition: partition, SizeGiB: 1, Type: "gp3", ClientToken: "t", Tags: map[string]string{"Name": "data"}}
	v, err := c.CreateVolume(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantTags := func(want map[string]string) {
		t.Helper()
		nodes, err := c.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.volume(v.ID).Tags); diff != "" {
			t.Errorf("of the volume (-want +got)\n%s", diff)
		}
		delete(want, "Name")
		if diff := cmp.Diff(want, nodes[0].Tags); diff != "" {
			t.Errorf("of the node (-want +got)\n%s", diff)
		}
	}
	both := []string{string(v.ID), string(n.instance)}
	if err := c.SetTags(t.Context(), both, map[string]string{"a": "1", "b": ""}); err != nil {
		t.Fatal(err)
	}
	c.restart()
	wantTags(map[string]string{"Name": "data", "a": "1", "b": ""})
	if got := c.volume(v.ID).Type; got != "gp3" {
		t.Errorf("it is of type %s", got)
	}
	t.Run("of one and an unknown one, neither is changed", func(t *testing.T) {
		for _, unknown := range []string{"vol-1a2b3c4d", "i-1a2b3c4d"} {
			err := c.SetTags(t.Context(), []string{string(v.ID), unknown}, map[string]string{"x": ""})
			wantError(t, err, mallee.NotFound, unknown)
		}
		wantError(t, c.SetTags(t.Context(), both, map[string]string{"aws:x": ""}), mallee.Invalid, "reserved")
		wantTags(map[string]string{"Name": "data", "a": "1", "b": ""})
	})
	t.Run("not more than there may be", func(t *testing.T) {
		many := map[string]string{}
		for i := range 48 {
			many[fmt.Sprint(i)] = ""
		}
		wantError(t, c.SetTags(t.Context(), both, many), mallee.TooMany, string(v.ID), "51 tags", "50")
		wantTags(map[string]string{"Name": "data", "a": "1", "b": ""})
	})
	if err := c.ClearTags(t.Context(), both, func(key, value string) bool { return key == "a" }); err != nil {
		t.Fatal(err)
	}
	wantTags(map[string]string{"Name": "data", "b": ""})

	t.Run("a token is for the same tags and type", func(t *testing.T) {
		again, err := c.CreateVolume(t.Context(), spec)
		if err != nil || again.ID != v.ID || again.Tags["b"] != "" || len(again.Tags) != 2 {
			t.Errorf("the same call made %+v, %v", again, err)
		}
		spec.Tags = map[string]string{"Name": "logs"}
		_, err = c.CreateVolume(t.Context(), spec)
		wantError(t, err, mallee.Mismatch, string(v.ID))
	})
	t.Run("they go with the volume", func(t *testing.T) {
		if err := c.DeleteVolume(t.Context(), v.ID); err != nil {
			t.Fatal(err)
		}
		s := c.sc("sc1", partition)
		s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
		s.volume(v.ID, false)
		if left := c.view().tags; len(left) != 1 {
			t.Errorf("tags of what is gone are kept: %v", left)
		}
	})
}

func TestPartitions(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	want := []mallee.Partition{{Name: partition, Live: true}}
	check := func() {
		t.Helper()
		got, err := c.Partitions(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("(-want +got)\n%s%v", diff, err)
		}
	}
	check()
	s.report(&cloudv1.PartitionReport{Pool: &cloudv1.Pool{
		SizeBytes: 10, FreeBytes: 9, PromisedBytes: 8, PromiseLimitBytes: 7, MetadataSizeBytes: 6, MetadataFreeBytes: 5, Alarms: []string{"full"},
	}})
	want[0].Pool = &mallee.Pool{
		SizeBytes: 10, FreeBytes: 9, PromisedBytes: 8, PromiseLimitBytes: 7, MetadataSizeBytes: 6, MetadataFreeBytes: 5, Alarms: []string{"full"},
	}
	check()
	c.restart()
	want = []mallee.Partition{{Name: partition}}
	check()
}
