// SPDX-License-Identifier: Apache-2.0

//go:build lab

package clc

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
)

// The tools of Debian's packages awscli and python3-boto3. Others may stand
// before them in PATH.
const (
	awsCLI = "/usr/bin/aws"
	python = "/usr/bin/python3"
)

// playSAN is a storage controller that brings about at once what it is told.
func (c *cluster) playSAN() {
	c.t.Helper()
	client := c.dial(rpc.SC, "sc1", partition)
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	stream, err := client.WatchPartition(ctx, &cloudv1.WatchPartitionRequest{Partition: partition})
	if err != nil {
		c.t.Fatal(err)
	}
	sizes := map[string]uint64{}
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			report := &cloudv1.PartitionReport{Partition: partition, Pool: &cloudv1.Pool{SizeBytes: 100 * mallee.GiB, FreeBytes: 90 * mallee.GiB}}
			for _, v := range m.Volumes {
				sizes[v.VolumeId] = max(sizes[v.VolumeId], v.SizeBytes, v.GrowToBytes)
				r := &cloudv1.VolumeReport{VolumeId: v.VolumeId, Known: true, Present: v.Wanted}
				if v.Wanted {
					r.Wwid, r.SizeBytes = wwidOf(mallee.VolumeID(v.VolumeId)), sizes[v.VolumeId]
				}
				report.Volumes = append(report.Volumes, r)
			}
			for _, e := range m.Exports {
				r := exportReport(e)
				if r.Present = e.Wanted; !e.Wanted {
					r.Export = nil
				}
				report.Exports = append(report.Exports, r)
			}
			if _, err := client.ReportPartition(ctx, report); err != nil && ctx.Err() == nil {
				c.t.Error(err)
			}
		}
	}()
}

// playNode is a node controller that brings about at once what it is told. It
// returns when the node is known.
func (c *cluster) playNode(name string) {
	c.t.Helper()
	n := c.nc(name)
	go func() {
		for m := range n.ch {
			report := &cloudv1.NodeReport{}
			for _, a := range m.Attachments {
				r := &cloudv1.AttachmentReport{VolumeId: a.VolumeId, Generation: a.Generation, State: cloudv1.AttachmentReport_STATE_ATTACHING}
				switch {
				case !a.Wanted:
					r.State = cloudv1.AttachmentReport_STATE_DETACHED
				case a.Export != nil:
					r.State, r.Device, r.SizeBytes = cloudv1.AttachmentReport_STATE_ATTACHED, "/dev/mallee/"+a.VolumeId, a.SizeBytes
					for _, portal := range a.Export.Portals {
						r.Paths = append(r.Paths, &cloudv1.PathReport{Portal: portal, State: string(mallee.PathUp), BlockDev: "sdb"})
					}
				}
				report.Attachments = append(report.Attachments, r)
			}
			if _, err := n.client.ReportNode(context.Background(), report); err != nil && c.t.Context().Err() == nil {
				c.t.Error(err)
			}
		}
	}()
}

// tools are stock clients of a cloud with one partition and one node.
type tools struct {
	t        *testing.T
	endpoint string
	env      []string
}

func newTools(t *testing.T) tools {
	t.Helper()
	c := newCluster(t)
	c.playSAN()
	c.playNode("nc1")
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, c.authority.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	access, secret, err := c.adminKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tools{t, c.api, []string{
		"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
		"MALLEE_ENDPOINT=" + c.api, "AWS_CA_BUNDLE=" + bundle, "AWS_DEFAULT_REGION=mallee",
		"AWS_ACCESS_KEY_ID=" + access, "AWS_SECRET_ACCESS_KEY=" + secret,
	}}
}

// run returns what a command prints; its standard error when it fails.
func (e tools) run(name string, args ...string) (string, error) {
	e.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(e.t.Context(), name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = e.env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return strings.TrimSpace(stderr.String()), err
	}
	return strings.TrimSpace(stdout.String()), nil
}

// aws returns what an EC2 command of the CLI prints as text.
func (e tools) aws(args ...string) string {
	e.t.Helper()
	out, err := e.tryAWS(args...)
	if err != nil {
		e.t.Fatalf("aws ec2 %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (e tools) tryAWS(args ...string) (string, error) {
	e.t.Helper()
	return e.run(awsCLI, slices.Concat([]string{"--endpoint-url", e.endpoint, "--output", "text", "ec2"}, args)...)
}

func TestLabBoto3(t *testing.T) {
	e := newTools(t)
	out, err := e.run(python, "../../test/ec2/life.py")
	if err != nil || out != "done" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestLabAWSCLI(t *testing.T) {
	e := newTools(t)
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	zone := e.aws("describe-availability-zones", "--query", "AvailabilityZones[?State=='available'].ZoneName")
	want(zone, partition)
	instance := e.aws("describe-instances", "--query", "Reservations[].Instances[].InstanceId")
	var ids []string
	for range 3 {
		ids = append(ids, e.aws("create-volume", "--availability-zone", zone, "--size", "1", "--volume-type", "gp2",
			"--tag-specifications", "ResourceType=volume,Tags=[{Key=Name,Value=data},{Key=n,Value=<&>}]", "--query", "VolumeId"))
	}
	slices.Sort(ids)
	e.aws(slices.Concat([]string{"wait", "volume-available", "--volume-ids"}, ids)...)
	want(e.aws("describe-volumes", "--page-size", "2", "--filters", "Name=tag:Name,Values=da*", "Name=status,Values=available",
		"--query", "Volumes[].VolumeId"), ids[0]+"\t"+ids[1]+"\n"+ids[2])

	e.aws("attach-volume", "--volume-id", ids[0], "--instance-id", instance, "--device", "/dev/sdf")
	e.aws("wait", "volume-in-use", "--volume-ids", ids[0])
	want(e.aws("modify-volume", "--volume-id", ids[0], "--size", "4", "--query", "VolumeModification.[ModificationState,OriginalSize,TargetSize]"), "modifying\t1\t4")
	want(e.aws("describe-volumes-modifications", "--volume-ids", ids[0], "--query", "VolumesModifications[].[ModificationState,Progress]"), "completed\t100")
	want(e.aws("describe-volumes", "--volume-ids", ids[0], "--query", "Volumes[].[Size,State,Attachments[0].State]"), "4\tin-use\tattached")
	want(e.aws("describe-volume-status", "--volume-ids", ids[0], "--query", "VolumeStatuses[].VolumeStatus.Status"), "ok")
	e.aws("wait", "instance-status-ok", "--instance-ids", instance)

	e.aws("create-tags", "--resources", ids[0], instance, "--tags", "Key=team,Value=storage")
	want(e.aws("describe-tags", "--filters", "Name=key,Values=team", "--query", "Tags[].ResourceType"), "instance\tvolume")
	e.aws("delete-tags", "--resources", ids[0], instance, "--tags", "Key=team")
	want(e.aws("describe-tags", "--filters", "Name=key,Values=team", "--query", "Tags"), "")

	for code, args := range map[string]string{
		"InvalidVolume.NotFound":    "describe-volumes --volume-ids vol-00000000 vol-11111111",
		"InvalidVolumeID.Malformed": "delete-volume --volume-id vol-1",
		"VolumeInUse":               "delete-volume --volume-id " + ids[0],
		"InvalidParameterValue":     "modify-volume --size 3 --volume-id " + ids[0],
		"DryRunOperation":           "delete-volume --dry-run --volume-id " + ids[1],
		"InvalidAction":             "describe-vpcs",
	} {
		out, err := e.tryAWS(strings.Fields(args)...)
		// The CLI ends with 254 when it has understood the error.
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 254 || !strings.Contains(out, "("+code+")") {
			t.Errorf("aws ec2 %s: %v: %s; want %s", args, err, out, code)
		}
	}
	e.aws("detach-volume", "--volume-id", ids[0])
	e.aws("wait", "volume-available", "--volume-ids", ids[0])
	for _, id := range ids {
		e.aws("delete-volume", "--volume-id", id)
	}
	e.aws("wait", "volume-deleted", "--volume-ids", ids[2])
	want(e.aws("describe-volumes", "--query", "Volumes"), "")
}
