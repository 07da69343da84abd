// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mallee-io/mallee"
)

func TestModifyVolume(t *testing.T) {
	s := serve(t)
	c, ctx := s.sdk(), t.Context()
	for range 3 {
		if _, err := s.cloud.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1, Type: "gp3"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.cloud.AttachVolume(ctx, "vol-00000002", node1, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	out, err := c.ModifyVolume(ctx, &ec2.ModifyVolumeInput{VolumeId: aws.String("vol-00000001"), Size: aws.Int32(5)})
	if err != nil {
		t.Fatal(err)
	}
	m := out.VolumeModification
	if m.ModificationState != types.VolumeModificationStateCompleted || *m.OriginalSize != 1 || *m.TargetSize != 5 || *m.Progress != 100 ||
		!m.StartTime.Equal(created) || !m.EndTime.Equal(created) || m.TargetVolumeType != types.VolumeTypeGp3 || m.OriginalVolumeType != types.VolumeTypeGp3 {
		t.Errorf("the modification is %+v", m)
	}
	out, err = c.ModifyVolume(ctx, &ec2.ModifyVolumeInput{VolumeId: aws.String("vol-00000002"), Size: aws.Int32(6)})
	if err != nil || out.VolumeModification.ModificationState != types.VolumeModificationStateOptimizing || out.VolumeModification.EndTime != nil {
		t.Errorf("of an attached volume: %+v, %v", out, err)
	}
	list, err := c.DescribeVolumesModifications(ctx, &ec2.DescribeVolumesModificationsInput{})
	if err != nil || len(list.VolumesModifications) != 2 {
		t.Errorf("the modifications are %+v, %v", list, err)
	}
	list, err = c.DescribeVolumesModifications(ctx, &ec2.DescribeVolumesModificationsInput{Filters: []types.Filter{
		where("modification-state", "optimizing", "completed"), where("target-size", "6"), where("original-size", "1"), where("volume-id", "vol-*"),
	}})
	if err != nil || len(list.VolumesModifications) != 1 || *list.VolumesModifications[0].VolumeId != "vol-00000002" {
		t.Errorf("the one that is sought: %+v, %v", list, err)
	}
	for name, f := range map[string]struct{ form, code, names string }{
		"while it is modified":    {"Action=ModifyVolume&VolumeId=vol-00000002&Size=7", "IncorrectModificationState", "vol-00000002"},
		"smaller":                 {"Action=ModifyVolume&VolumeId=vol-00000001&Size=4", "InvalidParameterValue", "new size cannot be smaller than existing size"},
		"far too large":           {"Action=ModifyVolume&VolumeId=vol-00000001&Size=16385", "InvalidParameterValue", "16385GiB"},
		"nothing to do":           {"Action=ModifyVolume&VolumeId=vol-00000001", "MissingParameter", "Size"},
		"unknown volume":          {"Action=ModifyVolume&VolumeId=vol-99999999&Size=4", "InvalidVolume.NotFound", "vol-99999999"},
		"another type":            {"Action=ModifyVolume&VolumeId=vol-00000001&VolumeType=gp2", "UnsupportedOperation", "vol-00000001"},
		"a type that is none":     {"Action=ModifyVolume&VolumeId=vol-00000001&VolumeType=tape", "UnknownVolumeType", "tape"},
		"a rate":                  {"Action=ModifyVolume&VolumeId=vol-00000001&Size=9&Iops=3000", "InvalidParameterCombination", "Iops"},
		"for several nodes":       {"Action=ModifyVolume&VolumeId=vol-00000001&Size=9&MultiAttachEnabled=true", "InvalidParameterCombination", "MultiAttachEnabled"},
		"dry run":                 {"Action=ModifyVolume&VolumeId=vol-00000001&Size=9&DryRun=true", "DryRunOperation", "DryRun"},
		"one that was never made": {"Action=DescribeVolumesModifications&VolumeId.1=vol-00000003", "InvalidVolumeModification.NotFound", "vol-00000003"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, body := s.post(t, call{form: f.form})
			if got := parseFailure(t, body); got.Code != f.code || !strings.Contains(got.Message, f.names) {
				t.Errorf("got %s %q, want %s with %q in its message", got.Code, got.Message, f.code, f.names)
			}
		})
	}
	if got := s.cloud.volumes["vol-00000001"].SizeGiB; got != 5 {
		t.Errorf("refused calls have made it %d GiB", got)
	}
}
