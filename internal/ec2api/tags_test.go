// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

// sdkTags makes tags of KEY=VALUE; without a '=', there is no value.
func sdkTags(pairs ...string) []types.Tag {
	var tags []types.Tag
	for _, pair := range pairs {
		key, value, hasValue := strings.Cut(pair, "=")
		tag := types.Tag{Key: aws.String(key)}
		if hasValue {
			tag.Value = aws.String(value)
		}
		tags = append(tags, tag)
	}
	return tags
}

// described returns all tags that pass the filters, as ID KEY=VALUE.
func (s server) described(t *testing.T, filters ...types.Filter) []string {
	t.Helper()
	out, err := s.sdk().DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, tag := range out.Tags {
		if want := map[bool]types.ResourceType{true: types.ResourceTypeVolume, false: types.ResourceTypeInstance}[strings.HasPrefix(*tag.ResourceId, "vol-")]; tag.ResourceType != want {
			t.Errorf("%s is told to be a %s", *tag.ResourceId, tag.ResourceType)
		}
		list = append(list, *tag.ResourceId+" "+*tag.Key+"="+*tag.Value)
	}
	return list
}

func where(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

func TestTags(t *testing.T) {
	s := serve(t)
	c, ctx := s.sdk(), t.Context()
	v, err := c.CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: aws.String("PARTI00"), Size: aws.Int32(1),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVolume, Tags: sdkTags("Name=data", "empty=")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Tags) != 2 || *v.Tags[0].Key != "Name" || *v.Tags[0].Value != "data" {
		t.Errorf("created with %v", v.Tags)
	}
	ids := []string{*v.VolumeId, string(node1)}
	if _, err := c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: ids, Tags: sdkTags("team=<a & b>", "keep=1")}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"i-00000001 Name=nc1", "i-00000001 keep=1", "i-00000001 team=<a & b>", "i-00000002 Name=nc2", "i-00000003 Name=nc3",
		"vol-00000001 Name=data", "vol-00000001 empty=", "vol-00000001 keep=1", "vol-00000001 team=<a & b>",
	}
	if d := cmp.Diff(want, s.described(t)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for name, f := range map[string]struct {
		filter types.Filter
		want   []string
	}{
		"resource":  {where("resource-id", "vol-00000001"), want[5:]},
		"type":      {where("resource-type", "instance"), want[:5]},
		"key":       {where("key", "keep", "empty"), []string{want[1], want[6], want[7]}},
		"value":     {where("value", "nc*"), []string{want[0], want[3], want[4]}},
		"tag:Name":  {where("tag:Name", "data"), []string{want[5]}},
		"of a none": {where("resource-id", "vol-99999999"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(f.want, s.described(t, f.filter)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	t.Run("volumes by tag", func(t *testing.T) {
		for filter, found := range map[string]int{"tag:Name=data": 1, "tag:Name=logs": 0, "tag:empty=": 1, "tag-key=team": 1, "tag-key=tea": 0, "tag:team=<a*": 1} {
			name, value, _ := strings.Cut(filter, "=")
			out, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{where(name, value)}})
			if err != nil || len(out.Volumes) != found {
				t.Errorf("%s finds %d volumes, want %d: %v", filter, len(out.Volumes), found, err)
			}
		}
		out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{where("tag:keep", "1")}})
		if err != nil || len(out.Reservations) != 1 {
			t.Errorf("instances: %+v, %v", out, err)
		}
	})
	for _, step := range []struct {
		does   string
		delete []types.Tag
		left   []string
	}{
		{"another value is not taken away", sdkTags("keep=2", "team="), []string{"Name=data", "empty=", "keep=1", "team=<a & b>"}},
		{"an empty value is", sdkTags("empty="), []string{"Name=data", "keep=1", "team=<a & b>"}},
		{"any value is, and what is not there is no error", sdkTags("team", "nothing"), []string{"Name=data", "keep=1"}},
		{"all are", nil, nil},
	} {
		t.Run(step.does, func(t *testing.T) {
			if _, err := c.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: ids[:1], Tags: step.delete}); err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, tag := range s.described(t, where("resource-id", ids[0])) {
				left = append(left, strings.TrimPrefix(tag, ids[0]+" "))
			}
			if d := cmp.Diff(step.left, left); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestTagPages(t *testing.T) {
	s := serve(t)
	tags := map[string]string{}
	for i := range 20 {
		tags[fmt.Sprintf("key%02d", i)] = ""
	}
	if err := s.cloud.SetTags(t.Context(), []string{string(node1)}, tags); err != nil {
		t.Fatal(err)
	}
	pages := ec2.NewDescribeTagsPaginator(s.sdk(), &ec2.DescribeTagsInput{MaxResults: aws.Int32(7)})
	seen := map[string]bool{}
	for n := 0; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range page.Tags {
			seen[*tag.ResourceId+*tag.Key] = true
		}
		if n == 0 { // what was read goes away
			err := s.cloud.ClearTags(t.Context(), []string{string(node1)}, func(key, _ string) bool { return key == "key00" || key == "key03" })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(seen) != 23 {
		t.Errorf("%d tags were seen, want 20 and the names of three nodes", len(seen))
	}
}

func TestBadTagsAreNamed(t *testing.T) {
	s := serve(t)
	if _, err := s.cloud.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1, Tags: map[string]string{"Name": "data"}}); err != nil {
		t.Fatal(err)
	}
	const volume = "&ResourceId.1=vol-00000001"
	many, things := "", ""
	for i := range 51 {
		many += fmt.Sprintf("&Tag.%d.Key=k%d", i+1, i)
		things += fmt.Sprintf("&ResourceId.%d=vol-%08x", i+1, i)
	}
	for name, c := range map[string]struct{ form, code, names string }{
		"no resource":         {"Action=CreateTags&Tag.1.Key=k", "MissingParameter", "resourceId"},
		"no tag":              {"Action=CreateTags" + volume, "MissingParameter", "tag"},
		"no key":              {"Action=CreateTags" + volume + "&Tag.1.Value=v", "MissingParameter", "Tag.1.Key"},
		"reserved key":        {"Action=CreateTags" + volume + "&Tag.1.Key=aws:x", "InvalidParameterValue", "reserved"},
		"long key":            {"Action=CreateTags" + volume + "&Tag.1.Key=" + strings.Repeat("k", 129), "InvalidParameterValue", "128"},
		"long value":          {"Action=CreateTags" + volume + "&Tag.1.Key=k&Tag.1.Value=" + strings.Repeat("v", 257), "InvalidParameterValue", "256"},
		"control character":   {"Action=CreateTags" + volume + "&Tag.1.Key=k&Tag.1.Value=%09", "InvalidParameterValue", "control"},
		"one key twice":       {"Action=CreateTags" + volume + "&Tag.1.Key=k&Tag.2.Key=k", "InvalidParameterValue", "Duplicate tag key 'k'"},
		"51 tags":             {"Action=CreateTags" + volume + many, "TagLimitExceeded", "50"},
		"51st tag":            {"Action=CreateTags" + volume + strings.Replace(many, "&Tag.51.Key=k50", "", 1), "TagLimitExceeded", "vol-00000001"},
		"51 things":           {"Action=CreateTags&Tag.1.Key=k" + things, "RequestResourceCountExceeded", "50"},
		"of what has no tags": {"Action=CreateTags&ResourceId.1=snap-1a2b3c4d&Tag.1.Key=k", "InvalidID", "snap-1a2b3c4d"},
		"malformed id":        {"Action=CreateTags&ResourceId.1=vol-1&Tag.1.Key=k", "InvalidVolumeID.Malformed", "vol-1"},
		"unknown volume":      {"Action=CreateTags" + volume + "&ResourceId.2=vol-99999999&Tag.1.Key=k", "InvalidVolume.NotFound", "vol-99999999"},
		"unknown instance":    {"Action=DeleteTags&ResourceId.1=i-99999999&Tag.1.Key=k", "InvalidInstanceID.NotFound", "i-99999999"},
		"filter":              {"Action=DescribeTags&Filter.1.Name=colour&Filter.1.Value.1=red", "InvalidParameterValue", "colour"},
		"dry run":             {"Action=CreateTags" + volume + "&Tag.1.Key=k&DryRun=true", "DryRunOperation", "DryRun"},
		"for another thing": {
			"Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&TagSpecification.1.ResourceType=snapshot&TagSpecification.1.Tag.1.Key=k",
			"InvalidParameterValue", "'snapshot' is not a valid taggable resource type",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, body := s.post(t, call{form: c.form})
			if f := parseFailure(t, body); f.Code != c.code || !strings.Contains(f.Message, c.names) {
				t.Errorf("got %s %q, want %s with %q in its message", f.Code, f.Message, c.code, c.names)
			}
		})
	}
	if d := cmp.Diff([]string{"vol-00000001 Name=data"}, s.described(t, where("resource-type", "volume"))); d != "" {
		t.Errorf("bad calls have changed something (-want +got)\n%s", d)
	}
}
