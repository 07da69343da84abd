// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// What our client asks for beyond the life of a volume is what the API knows.

func TestOurClientPages(t *testing.T) {
	s := serve(t)
	c, ctx := s.ours(t), t.Context()
	for range 12 {
		if _, err := c.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1, Tags: map[string]string{"team": "web"}}); err != nil {
			t.Fatal(err)
		}
	}
	other, err := c.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1})
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.cloud.Volumes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]client.VolumeQuery{
		"in one page":  {},
		"in pages":     {PageSize: 5},
		"with filters": {PageSize: 5, Filters: []client.Filter{{Name: "tag:team", Values: []string{"db", "w*"}}, {Name: "status", Values: []string{"*"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got, expected []mallee.VolumeID
			for v, err := range c.EachVolume(ctx, q) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v.ID)
			}
			for _, v := range want {
				if v.ID != other.ID || q.Filters == nil {
					expected = append(expected, v.ID)
				}
			}
			if d := cmp.Diff(expected, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestOurClientTags(t *testing.T) {
	s := serve(t)
	c, ctx := s.ours(t), t.Context()
	v, err := c.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1, Tags: map[string]string{"a": "1", "b": ""}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{string(v.ID), string(node1)} {
		if err := c.AddTags(ctx, id, map[string]string{"a": "2", "c": "x & <y>"}); err != nil {
			t.Fatal(err)
		}
		if err := c.RemoveTags(ctx, id, "b", "nosuch"); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"a": "2", "c": "x & <y>"}
	if got, err := c.Tags(ctx, string(v.ID)); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("of the volume: %v, %v", got, err)
	}
	if got, err := c.Volume(ctx, v.ID); err != nil || cmp.Diff(want, got.Tags) != "" {
		t.Errorf("in the volume: %v, %v", got.Tags, err)
	}
	nodes, err := c.Nodes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.InstanceID == node1 && cmp.Diff(want, n.Tags) != "" {
			t.Errorf("in the node: %v", n.Tags)
		}
	}
	if got, err := c.Tags(ctx, "vol-ffffffff"); err != nil || got != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

func TestOurClientSeesGrowthAndHealth(t *testing.T) {
	s := serve(t)
	c, ctx := s.ours(t), t.Context()
	v, err := c.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 2})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Modification(ctx, v.ID); m != nil || err != nil {
		t.Errorf("before it grew: %v, %v", m, err)
	}
	begun, err := c.ResizeVolume(ctx, v.ID, 3)
	if err != nil {
		t.Fatal(err)
	}
	want := s.cloud.volumes[v.ID].Modification
	if got, err := c.Modification(ctx, v.ID); err != nil || cmp.Diff(want, got) != "" || cmp.Diff(*want, begun) != "" {
		t.Errorf("begun %v, is %v, %v; want %v", begun, got, err, want)
	}
	_, err = c.ResizeVolume(ctx, v.ID, 1)
	if refused, ok := errors.AsType[*client.APIError](err); !ok || refused.Status != 400 {
		t.Errorf("shrinking: %v", err)
	}
	well := s.cloud.volumes[v.ID]
	well.Message = ""
	s.cloud.volumes[v.ID] = well
	if got, err := c.VolumeStatus(ctx, v.ID); err != nil || got != client.StatusOK {
		t.Errorf("status %q, %v", got, err)
	}
	_, err = c.Modification(ctx, "vol-ffffffff")
	if refused, ok := errors.AsType[*client.APIError](err); !ok || refused.Code != "InvalidVolume.NotFound" {
		t.Errorf("growth of nothing: %v", err)
	}
}

func TestOurClientPartitions(t *testing.T) {
	s := serve(t)
	got, err := s.ours(t).Partitions(t.Context())
	want, _ := s.cloud.Partitions(t.Context())
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v (-want +got)\n%s", err, cmp.Diff(want, got))
	}
}
