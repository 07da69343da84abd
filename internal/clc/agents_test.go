// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
)

const partition = "PARTI00"

// sc is a storage controller that does what the test says.
type sc struct {
	t         *testing.T
	client    cloudv1.CloudClient
	partition string
	states[*cloudv1.PartitionState]
}

func (c *cluster) sc(name, partition string) *sc {
	c.t.Helper()
	s := &sc{t: c.t, client: c.dial(rpc.SC, name, partition), partition: partition}
	s.states = watch(c.t, func(ctx context.Context) (grpc.ServerStreamingClient[cloudv1.PartitionState], error) {
		return s.client.WatchPartition(ctx, &cloudv1.WatchPartitionRequest{Partition: partition})
	})
	return s
}

func (s *sc) report(r *cloudv1.PartitionReport) {
	s.t.Helper()
	r.Partition = s.partition
	if _, err := s.client.ReportPartition(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
}

func wwidOf(id mallee.VolumeID) string {
	return fmt.Sprintf("36%031s", strings.TrimPrefix(string(id), "vol-"))
}

func (s *sc) volume(id mallee.VolumeID, present bool) {
	s.t.Helper()
	r := &cloudv1.VolumeReport{VolumeId: string(id), Known: true, Present: present}
	if present {
		r.Wwid = wwidOf(id)
	}
	s.report(&cloudv1.PartitionReport{Volumes: []*cloudv1.VolumeReport{r}})
}

func exportReport(a *cloudv1.DesiredExport) *cloudv1.ExportReport {
	return &cloudv1.ExportReport{
		VolumeId: a.VolumeId, InstanceId: a.InstanceId, Generation: a.Generation, Known: true, Present: true,
		Export: &cloudv1.Export{
			Target: "iqn.2026-11.io.mallee:sp1", Lun: 1, Wwid: wwidOf(mallee.VolumeID(a.VolumeId)),
			Portals: []string{"10.107.1.200:3260", "10.108.1.200:3260"},
		},
	}
}

func (s *sc) exported(r *cloudv1.ExportReport) {
	s.t.Helper()
	s.report(&cloudv1.PartitionReport{Exports: []*cloudv1.ExportReport{r}})
}

func (s *sc) unexported(a *cloudv1.DesiredExport) {
	s.t.Helper()
	s.exported(&cloudv1.ExportReport{VolumeId: a.VolumeId, InstanceId: a.InstanceId, Generation: a.Generation, Known: true})
}

// export waits until the export of a volume is told with the given wish.
func (s *sc) export(id mallee.VolumeID, wanted bool) *cloudv1.DesiredExport {
	s.t.Helper()
	var found *cloudv1.DesiredExport
	s.until(fmt.Sprintf("an export of %s with wanted=%v", id, wanted), func(m *cloudv1.PartitionState) bool {
		for _, e := range m.Exports {
			if e.VolumeId == string(id) && e.Wanted == wanted {
				found = e
			}
		}
		return found != nil
	})
	return found
}

// nc is a node controller that does what the test says.
type nc struct {
	t        *testing.T
	client   cloudv1.CloudClient
	instance mallee.InstanceID
	states[*cloudv1.NodeState]
}

func initiator(node string) string { return "iqn.2026-11.io.mallee:node:" + node }

func (c *cluster) nc(name string) *nc {
	c.t.Helper()
	n := c.connect(name, partition, initiator(name))
	first := n.until("the first state", func(*cloudv1.NodeState) bool { return true })
	n.instance = mallee.InstanceID(first.InstanceId)
	return n
}

// connect opens a stream without waiting for it.
func (c *cluster) connect(name, partition, initiator string) *nc {
	c.t.Helper()
	n := &nc{t: c.t, client: c.dial(rpc.NC, name, partition)}
	n.states = watch(c.t, func(ctx context.Context) (grpc.ServerStreamingClient[cloudv1.NodeState], error) {
		return n.client.WatchNode(ctx, &cloudv1.WatchNodeRequest{Partition: partition, Initiator: initiator})
	})
	return n
}

// hangUp ends a node's stream and waits until the controller has seen that.
func (c *cluster) hangUp(name string, n *nc) {
	c.t.Helper()
	n.cancel()
	deadline := time.After(patience)
	for live := true; live; live, _ = c.presence.node(name) {
		select {
		case <-deadline:
			c.t.Fatalf("%s is still connected", name)
		case <-time.After(time.Millisecond):
		}
	}
}

func (n *nc) report(id mallee.VolumeID, generation uint64, state cloudv1.AttachmentReport_State, paths ...*cloudv1.PathReport) {
	n.t.Helper()
	r := &cloudv1.AttachmentReport{VolumeId: string(id), Generation: generation, State: state, Paths: paths}
	if state == cloudv1.AttachmentReport_STATE_ATTACHED {
		r.Device = "/dev/mallee/" + string(id)
	}
	if _, err := n.client.ReportNode(n.t.Context(), &cloudv1.NodeReport{Attachments: []*cloudv1.AttachmentReport{r}}); err != nil {
		n.t.Fatal(err)
	}
}

// attachment waits until the attachment of a volume is told in a form that ok accepts.
func (n *nc) attachment(what string, id mallee.VolumeID, ok func(*cloudv1.DesiredAttachment) bool) *cloudv1.DesiredAttachment {
	n.t.Helper()
	var found *cloudv1.DesiredAttachment
	n.until(fmt.Sprintf("attachment of %s %s", id, what), func(m *cloudv1.NodeState) bool {
		for _, a := range m.Attachments {
			if a.VolumeId == string(id) && ok(a) {
				found = a
			}
		}
		return found != nil
	})
	return found
}

func withExport(a *cloudv1.DesiredAttachment) bool { return a.Wanted && a.Export != nil }
func unwanted(a *cloudv1.DesiredAttachment) bool   { return !a.Wanted }

// available makes a volume and waits until it can be attached.
func (c *cluster) available(s *sc) mallee.VolumeID {
	c.t.Helper()
	if _, known := c.view().partitions[s.partition]; !known {
		s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	}
	v, err := c.CreateVolume(c.t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 1})
	if err != nil {
		c.t.Fatal(err)
	}
	s.volume(v.ID, true)
	return v.ID
}

// attached makes a volume that is attached to a node.
func (c *cluster) attached(s *sc, n *nc) (mallee.VolumeID, uint64) {
	c.t.Helper()
	id := c.available(s)
	if _, err := c.AttachVolume(c.t.Context(), id, n.instance, "/dev/sdf"); err != nil {
		c.t.Fatal(err)
	}
	s.exported(exportReport(s.export(id, true)))
	a := n.attachment("with its export", id, withExport)
	n.report(id, a.Generation, cloudv1.AttachmentReport_STATE_ATTACHED)
	return id, a.Generation
}
