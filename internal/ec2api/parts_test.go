// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

func TestJoinToken(t *testing.T) {
	s := serve(t)
	spec := mallee.JoinTokenSpec{
		Role: mallee.RoleNC, Name: "nc1", Partition: "PARTI00", Hosts: []string{"nc1.example.net", "10.109.1.101"}, Lifetime: 10 * time.Minute,
	}
	got, err := s.ours(t).CreateJoinToken(t.Context(), spec)
	want := mallee.JoinToken{JoinTokenSpec: spec, Token: "the-token", Expires: created.Add(10 * time.Minute)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if strings.Contains(s.log.String(), "the-token") {
		t.Error("the token is in the log")
	}
	for name, c := range map[string]struct {
		form, code string
	}{
		"no role":           {"Action=CreateJoinToken&Name=a&AvailabilityZone=PARTI00", "MissingParameter"},
		"no partition":      {"Action=CreateJoinToken&Name=a&Role=nc", "MissingParameter"},
		"of the clc":        {"Action=CreateJoinToken&Name=a&Role=clc&AvailabilityZone=PARTI00", "InvalidParameterValue"},
		"no time at all":    {"Action=CreateJoinToken&Name=a&Role=nc&AvailabilityZone=PARTI00&Lifetime=0", "InvalidParameterValue"},
		"for ever":          {"Action=CreateJoinToken&Name=a&Role=nc&AvailabilityZone=PARTI00&Lifetime=99999999999", "InvalidParameterValue"},
		"not in earnest":    {"Action=CreateJoinToken&Name=a&Role=nc&AvailabilityZone=PARTI00&DryRun=true", "DryRunOperation"},
		"remove what?":      {"Action=RemoveNode", "MissingParameter"},
		"remove no id":      {"Action=RemoveNode&InstanceId=i-xyz", "InvalidInstanceID.Malformed"},
		"remove a stranger": {"Action=RemoveNode&InstanceId=i-0000000a", "InvalidInstanceID.NotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := s.post(t, call{form: c.form})
			if status == http.StatusOK || !strings.Contains(body, "<Code>"+c.code+"</Code>") {
				t.Errorf("got %d and %s, want %s", status, body, c.code)
			}
		})
	}
}

func TestRemoveNode(t *testing.T) {
	s := serve(t)
	c := s.ours(t)
	v, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AttachVolume(t.Context(), v.ID, node1, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	err = c.RemoveNode(t.Context(), node1)
	if e, ok := errors.AsType[*client.APIError](err); !ok || !strings.Contains(e.Message, string(v.ID)) {
		t.Errorf("a node with a volume: %v", err)
	}
	if err := c.RemoveNode(t.Context(), node2); err != nil {
		t.Error(err)
	}
}
