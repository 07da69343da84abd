// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

// The life of a volume, as Amazon's own client sees it.
func TestSDK(t *testing.T) {
	s := serve(t)
	c, ctx := s.sdk(), t.Context()

	v, err := c.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String("PARTI00"), Size: aws.Int32(1), VolumeType: types.VolumeTypeGp3})
	if err != nil {
		t.Fatal(err)
	}
	if v.State != types.VolumeStateAvailable || *v.Size != 1 || *v.AvailabilityZone != "PARTI00" || !v.CreateTime.Equal(created) || v.VolumeType != types.VolumeTypeGp3 {
		t.Errorf("created %+v", v)
	}
	a, err := c.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: v.VolumeId, InstanceId: aws.String(string(node1)), Device: aws.String("/dev/sdf")})
	if err != nil {
		t.Fatal(err)
	}
	if a.State != types.VolumeAttachmentStateAttached || *a.VolumeId != *v.VolumeId || !a.AttachTime.Equal(created) {
		t.Errorf("attached %+v", a)
	}
	volumes, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}})
	if err != nil {
		t.Fatal(err)
	}
	if len(volumes.Volumes) != 1 || len(volumes.Volumes[0].Attachments) != 1 || *volumes.Volumes[0].Attachments[0].InstanceId != string(node1) {
		t.Errorf("described %+v", volumes.Volumes)
	}
	instances, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range instances.Reservations {
		i := r.Instances[0]
		line := fmt.Sprintf("%s %s %s %s", *i.InstanceId, i.State.Name, *i.Placement.AvailabilityZone, *i.Tags[0].Value)
		for _, d := range i.BlockDeviceMappings {
			line += " " + *d.DeviceName + "=" + *d.Ebs.VolumeId
		}
		got = append(got, line)
	}
	want := []string{"i-00000001 running PARTI00 nc1 /dev/sdf=vol-00000001", "i-00000002 running PARTI00 nc2", "i-00000003 stopped PARTI00 nc3"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("instances (-want +got)\n%s", d)
	}
	if _, err := c.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: v.VolumeId, Force: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
	var refused interface{ ErrorCode() string }
	if !errors.As(err, &refused) || refused.ErrorCode() != "InvalidVolume.NotFound" {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestTokenMakesOneVolume(t *testing.T) {
	s := serve(t)
	create := func(size int32) (*ec2.CreateVolumeOutput, error) {
		return s.sdk().CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("PARTI00"), Size: aws.Int32(size), ClientToken: aws.String("once")})
	}
	first, err := create(1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := create(1); err != nil || *again.VolumeId != *first.VolumeId {
		t.Errorf("the same call again: %v, %v", again, err)
	}
	if _, err := create(2); err == nil || !strings.Contains(err.Error(), "IdempotentParameterMismatch") {
		t.Errorf("the token with another size: %v", err)
	}
}

func TestFilters(t *testing.T) {
	s := serve(t)
	for size := 1; size <= 12; size++ {
		if _, err := s.cloud.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: size}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.cloud.AttachVolume(t.Context(), "vol-00000002", node1, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filters map[string][]string
		want    []string
	}{
		"one id":         {map[string][]string{"volume-id": {"vol-00000003"}}, []string{"vol-00000003"}},
		"one of two":     {map[string][]string{"size": {"4", "5"}}, []string{"vol-00000004", "vol-00000005"}},
		"state":          {map[string][]string{"status": {"in-use"}}, []string{"vol-00000002"}},
		"instance":       {map[string][]string{"attachment.instance-id": {"i-00000001"}}, []string{"vol-00000002"}},
		"device pattern": {map[string][]string{"attachment.device": {"/dev/*"}}, []string{"vol-00000002"}},
		"both":           {map[string][]string{"status": {"in-use"}, "size": {"1"}}, nil},
		"zone":           {map[string][]string{"availability-zone": {"PARTI0?"}, "size": {"12"}}, []string{"vol-0000000c"}},
		"another zone":   {map[string][]string{"availability-zone": {"PARTI01"}}, nil},
		"literal star":   {map[string][]string{"volume-id": {`vol-000000\*c`}}, nil},
		"no literal":     {map[string][]string{"attachment.device": {`\/dev\/sd\f`}}, []string{"vol-00000002"}},
		"attach time":    {map[string][]string{"attachment.attach-time": {"2026-11-22T*"}}, []string{"vol-00000002"}},
		"type":           {map[string][]string{"volume-type": {"standard"}, "size": {"7"}}, []string{"vol-00000007"}},
		"encrypted":      {map[string][]string{"encrypted": {"true"}}, nil},
		"when made":      {map[string][]string{"create-time": {"2026-11-22T12:00:00.123Z"}, "size": {"7"}, "multi-attach-enabled": {"false"}}, []string{"vol-00000007"}},
		"stars":          {map[string][]string{"volume-id": {"*l-*0*0c"}}, []string{"vol-0000000c"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := &ec2.DescribeVolumesInput{}
			for name, values := range c.filters {
				in.Filters = append(in.Filters, types.Filter{Name: aws.String(name), Values: values})
			}
			out, err := s.sdk().DescribeVolumes(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range out.Volumes {
				got = append(got, *v.VolumeId)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// Administrators of the original write "verbose" in place of an id.
func TestVerboseStandsForAll(t *testing.T) {
	s := serve(t)
	for range 2 {
		if _, err := s.cloud.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.sdk().DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{"verbose"}})
	if err != nil || len(out.Volumes) != 2 {
		t.Errorf("got %+v, %v", out, err)
	}
}

// A list read page by page has each volume once, though one that was read is
// deleted in between.
func TestPages(t *testing.T) {
	s := serve(t)
	for range 12 {
		if _, err := s.cloud.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1}); err != nil {
			t.Fatal(err)
		}
	}
	pages := ec2.NewDescribeVolumesPaginator(s.sdk(), &ec2.DescribeVolumesInput{MaxResults: aws.Int32(5)})
	var sizes []int
	seen := map[string]int{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Volumes))
		for _, v := range page.Volumes {
			seen[*v.VolumeId]++
		}
		if len(sizes) == 1 {
			if err := s.cloud.DeleteVolume(t.Context(), "vol-00000005"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d := cmp.Diff([]int{5, 5, 2}, sizes); d != "" || len(seen) != 12 {
		t.Errorf("pages of %v with %d volumes", sizes, len(seen))
	}
}
