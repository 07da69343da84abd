// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestZones(t *testing.T) {
	s := serve(t)
	c, ctx := s.sdk(), t.Context()
	out, err := c.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil || len(out.AvailabilityZones) != 2 {
		t.Fatal(out, err)
	}
	first, second := out.AvailabilityZones[0], out.AvailabilityZones[1]
	if *first.ZoneName != "PARTI00" || *first.ZoneId != "PARTI00" || first.State != types.AvailabilityZoneStateAvailable ||
		*first.RegionName != "mallee" || first.OptInStatus != types.AvailabilityZoneOptInStatusOptInNotRequired ||
		len(first.Messages) != 1 || *first.Messages[0].Message != "data is 93 % full" {
		t.Errorf("the first zone is %+v", first)
	}
	if *second.ZoneName != "PARTI01" || second.State != types.AvailabilityZoneStateUnavailable || len(second.Messages) != 1 {
		t.Errorf("the second zone is %+v", second)
	}
	for name, in := range map[string]*ec2.DescribeAvailabilityZonesInput{
		"by name":  {ZoneNames: []string{"PARTI00"}},
		"by id":    {ZoneIds: []string{"PARTI00"}},
		"by state": {Filters: []types.Filter{where("state", "available")}},
		"all of Terraform's filters": {AllAvailabilityZones: aws.Bool(true), Filters: []types.Filter{
			where("opt-in-status", "opt-in-not-required"), where("zone-type", "availability-zone"), where("state", "available"), where("region-name", "mallee"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := c.DescribeAvailabilityZones(ctx, in)
			if err != nil || len(out.AvailabilityZones) != 1 || *out.AvailabilityZones[0].ZoneName != "PARTI00" {
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
	_, err = c.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"PARTI00", "a", "b"}})
	if err == nil || !strings.Contains(err.Error(), "InvalidParameterValue: Invalid availability zone: [a, b]") {
		t.Errorf("unknown zones: %v", err)
	}
}

// What Amazon's client skips.
func TestPoolOfAZone(t *testing.T) {
	s := serve(t)
	_, _, body := s.post(t, call{form: "Action=DescribeAvailabilityZones"})
	const want = `<pool><sizeBytes>107374182400</sizeBytes><freeBytes>7516192768</freeBytes><promisedBytes>0</promisedBytes>` +
		`<promiseLimitBytes>0</promiseLimitBytes><metadataSizeBytes>0</metadataSizeBytes><metadataFreeBytes>0</metadataFreeBytes>` +
		`<alarmSet><item>data is 93 % full</item></alarmSet></pool>`
	if strings.Count(body, "<pool>") != 1 || !strings.Contains(body, want) {
		t.Errorf("want one zone with %s:\n%s", want, body)
	}
}

func TestRegionsAndAttributes(t *testing.T) {
	s := serve(t)
	c, ctx := s.sdk(), t.Context()
	regions, err := c.DescribeRegions(ctx, &ec2.DescribeRegionsInput{RegionNames: []string{"mallee"}})
	if err != nil || len(regions.Regions) != 1 || *regions.Regions[0].RegionName != "mallee" {
		t.Errorf("regions are %+v, %v", regions, err)
	}
	if _, err := c.DescribeRegions(ctx, &ec2.DescribeRegionsInput{RegionNames: []string{"us-east-1"}}); err == nil || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("another region: %v", err)
	}
	attributes, err := c.DescribeAccountAttributes(ctx, &ec2.DescribeAccountAttributesInput{AttributeNames: []types.AccountAttributeName{"supported-platforms"}})
	if err != nil || len(attributes.AccountAttributes) != 1 || *attributes.AccountAttributes[0].AttributeValues[0].AttributeValue != "VPC" {
		t.Errorf("attributes are %+v, %v", attributes, err)
	}
}

func TestVolumeAttribute(t *testing.T) {
	s := serve(t)
	v, err := s.sdk().CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("PARTI00"), Size: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	for attribute, autoEnable := range map[types.VolumeAttributeName]bool{"autoEnableIO": true, "productCodes": false} {
		out, err := s.sdk().DescribeVolumeAttribute(t.Context(), &ec2.DescribeVolumeAttributeInput{VolumeId: v.VolumeId, Attribute: attribute})
		if err != nil || *out.VolumeId != *v.VolumeId || (out.AutoEnableIO != nil) != autoEnable || len(out.ProductCodes) != 0 {
			t.Errorf("%s: %+v, %v", attribute, out, err)
		}
	}
}
