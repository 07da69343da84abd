// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// Paths returns the paths of all attachments as the nodes last reported them,
// in the order of volumes and, for each, of the node's list; those that it drains
// come last. A report is not stored: after a restart of the controller the nodes
// tell it anew.
func (c *Controller) Paths(ctx context.Context) ([]mallee.Path, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return nil, err
	}
	return c.currentPaths(v), nil
}

// currentPaths returns the paths as last reported, but none as usable whose node
// is not connected: nobody knows. Of a path that is down it tells, too, that the
// pool is full: see fullMessage.
func (c *Controller) currentPaths(v *view) []mallee.Path {
	silent := map[mallee.InstanceID]string{}
	for name, r := range v.nodes {
		if live, since := c.presence.node(name); !live {
			silent[r.InstanceID] = "the node has not reported since " + since.Format(time.RFC3339)
		}
	}
	list := c.paths.of(v.attachments)
	for i, p := range list {
		reason, isSilent := silent[p.InstanceID]
		switch {
		case isSilent && (p.State == mallee.PathUp || p.State == mallee.PathJoining):
			list[i].State, list[i].Reason = mallee.PathDown, reason
		case !isSilent && p.State == mallee.PathDown && c.presence.pool(v.attachments[string(p.VolumeID)].Partition).Full():
			list[i].Reason += "; the pool is full"
		}
	}
	return list
}

// pathTable holds the last path report on each volume.
type pathTable struct {
	mu       sync.Mutex
	byVolume map[string]pathReport
}

type pathReport struct {
	generation uint64
	paths      []mallee.Path
}

func newPathReport(instance mallee.InstanceID, report *cloudv1.AttachmentReport) pathReport {
	r := pathReport{generation: report.GetGeneration()}
	for _, p := range report.GetPaths() {
		r.paths = append(r.paths, mallee.Path{
			VolumeID: mallee.VolumeID(report.GetVolumeId()), InstanceID: instance, Text: p.GetText(),
			Interface: p.GetInterface(), NetDevice: p.GetDevice(), Portal: p.GetPortal(),
			State: mallee.PathState(p.GetState()), BlockDev: p.GetBlockDev(), Reason: p.GetReason(),
		})
	}
	return r
}

func newPathTable() *pathTable { return &pathTable{byVolume: map[string]pathReport{}} }

func (t *pathTable) put(volume string, r pathReport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byVolume[volume] = r
}

// keep drops the reports on attachments that are gone. Have must be no older than
// what the nodes were told: the report of one that is ahead would be lost until
// its next.
func (t *pathTable) keep(have map[string]attachmentRecord) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for volume, r := range t.byVolume {
		if !r.about(have[volume]) {
			delete(t.byVolume, volume)
		}
	}
}

// about reports whether a is the attachment that r is about; the zero value is none.
func (r pathReport) about(a attachmentRecord) bool { return a.Generation == r.generation }

// of returns the paths of attachments.
func (t *pathTable) of(have map[string]attachmentRecord) []mallee.Path {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []mallee.Path
	for volume, r := range t.byVolume {
		if r.about(have[volume]) {
			list = append(list, r.paths...)
		}
	}
	draining := func(p mallee.Path) int {
		if p.State == mallee.PathDraining {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b mallee.Path) int {
		return cmp.Or(cmp.Compare(a.VolumeID, b.VolumeID), cmp.Compare(draining(a), draining(b)))
	})
	return list
}
