// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

func TestVolumeStatus(t *testing.T) {
	s := serve(t)
	path := func(state mallee.PathState, reason string) mallee.Path {
		return mallee.Path{Text: "eth1:10.0.0.1", Interface: "eth1", Portal: "10.0.0.1:3260", State: state, Reason: reason}
	}
	up, down := path(mallee.PathUp, ""), path(mallee.PathDown, "no route")
	draining := mallee.Path{Portal: "10.0.0.9:3260", State: mallee.PathDraining}
	refused := mallee.Path{Portal: "10.0.0.9:3260", State: mallee.PathQuarantined, Reason: "its LUN has another identity"}
	unresolved := mallee.Path{Text: "eth9:san1", Interface: "eth9", State: mallee.PathUnresolved, Reason: "no such label"}
	used := func(state mallee.AttachmentState) mallee.Volume {
		return mallee.Volume{State: mallee.VolumeInUse, Attachment: &mallee.Attachment{InstanceID: node1, State: state}}
	}
	const ok, impaired, unknown = types.VolumeStatusInfoStatusOk, types.VolumeStatusInfoStatusImpaired, types.VolumeStatusInfoStatusInsufficientData
	cases := map[mallee.VolumeID]struct {
		volume      mallee.Volume
		paths       []mallee.Path
		status      types.VolumeStatusInfoStatus
		io          string
		performance string
		event       string // its type, a blank and what its description tells
	}{
		"vol-00000001": {used(mallee.Attached), []mallee.Path{up, up}, ok, "passed", "normal", ""},
		"vol-00000002": {used(mallee.Attached), []mallee.Path{up, down}, impaired, "passed", "degraded", "io-performance:degraded 1 of 2 paths are up; eth1:10.0.0.1:3260 is down: no route"},
		"vol-00000003": {used(mallee.Attached), []mallee.Path{down}, impaired, "failed", "stalled", "io-performance:stalled 0 of 1 paths are up; eth1:10.0.0.1:3260 is down: no route"},
		"vol-00000004": {used(mallee.Attached), nil, unknown, "insufficient-data", "insufficient-data", ""},
		"vol-00000005": {used(mallee.Attaching), []mallee.Path{down}, unknown, "insufficient-data", "insufficient-data", ""},
		"vol-00000006": {mallee.Volume{State: mallee.VolumeAvailable}, nil, ok, "passed", "not-applicable", ""},
		"vol-00000007": {mallee.Volume{State: mallee.VolumeCreating}, nil, unknown, "insufficient-data", "insufficient-data", ""},
		"vol-00000008": {mallee.Volume{State: mallee.VolumeError, Message: "the pool is full"}, nil, impaired, "failed", "not-applicable", "io-enabled:failed the pool is full"},
		"vol-00000009": {mallee.Volume{State: mallee.VolumeAvailable, Message: "the SAN does not hold this volume any more"}, nil, unknown, "insufficient-data", "insufficient-data", ""},
		"vol-0000000a": {mallee.Volume{State: mallee.VolumeAvailable, Message: "no room yet", Modification: &mallee.Modification{}}, nil, ok, "passed", "not-applicable", ""},
		"vol-0000000b": {used(mallee.Attached), []mallee.Path{up, refused, draining}, ok, "passed", "normal", ""},
		"vol-0000000c": {used(mallee.Attached), []mallee.Path{up, unresolved, draining}, impaired, "passed", "degraded", "io-performance:degraded 1 of 2 paths are up; eth9:san1 is unresolved: no such label"},
	}
	for id, c := range cases {
		c.volume.ID, c.volume.Partition = id, "PARTI00"
		s.cloud.volumes[id] = c.volume
		for i := range c.paths {
			p := c.paths[i]
			p.VolumeID = id
			s.cloud.paths = append(s.cloud.paths, p)
		}
	}
	out, err := s.sdk().DescribeVolumeStatus(t.Context(), &ec2.DescribeVolumeStatusInput{})
	if err != nil || len(out.VolumeStatuses) != len(cases) {
		t.Fatal(out, err)
	}
	for _, got := range out.VolumeStatuses {
		want := cases[mallee.VolumeID(*got.VolumeId)]
		details := got.VolumeStatus.Details
		if got.VolumeStatus.Status != want.status || *got.AvailabilityZone != "PARTI00" || len(details) != 2 ||
			details[0].Name != types.VolumeStatusNameIoEnabled || *details[0].Status != want.io ||
			details[1].Name != types.VolumeStatusNameIoPerformance || *details[1].Status != want.performance {
			t.Errorf("%s is %s with %v, want %+v", *got.VolumeId, got.VolumeStatus.Status, details, want)
		}
		event := ""
		for _, e := range got.Events {
			event += *e.EventType + " " + *e.Description
		}
		if event != want.event {
			t.Errorf("%s has the event %q, want %q", *got.VolumeId, event, want.event)
		}
	}
	for name, c := range map[string]struct {
		filter types.Filter
		want   string
	}{
		"status":         {where("volume-status.status", "impaired"), "2 3 8 c"},
		"zone":           {where("availability-zone", "PARTI01"), ""},
		"detail name":    {where("volume-status.details-name", "io-enabled"), "1 2 3 4 5 6 7 8 9 a b c"},
		"detail status":  {where("volume-status.details-status", "failed"), "3 8"},
		"event":          {where("event.event-type", "io-performance:*"), "2 3 c"},
		"action of ours": {where("action.code", "*"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := s.sdk().DescribeVolumeStatus(t.Context(), &ec2.DescribeVolumeStatusInput{Filters: []types.Filter{c.filter}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range out.VolumeStatuses {
				got = append(got, strings.TrimPrefix(*v.VolumeId, "vol-0000000"))
			}
			if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestInstanceStatus(t *testing.T) {
	s := serve(t)
	statuses := func(in *ec2.DescribeInstanceStatusInput) (list []string) {
		t.Helper()
		out, err := s.sdk().DescribeInstanceStatus(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range out.InstanceStatuses {
			list = append(list, *i.InstanceId+" "+string(i.InstanceState.Name)+" "+string(i.InstanceStatus.Status)+" "+string(i.SystemStatus.Status))
		}
		return list
	}
	want := []string{"i-00000001 running ok ok", "i-00000002 running ok ok"}
	if d := cmp.Diff(want, statuses(&ec2.DescribeInstanceStatusInput{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	want = append(want, "i-00000003 stopped not-applicable not-applicable")
	if d := cmp.Diff(want, statuses(&ec2.DescribeInstanceStatusInput{IncludeAllInstances: aws.Bool(true)})); d != "" {
		t.Errorf("all (-want +got)\n%s", d)
	}
	if got := statuses(&ec2.DescribeInstanceStatusInput{Filters: []types.Filter{where("instance-state-code", "80")}, IncludeAllInstances: aws.Bool(true)}); len(got) != 1 {
		t.Errorf("stopped ones are %v", got)
	}
}
