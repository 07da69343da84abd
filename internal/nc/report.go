// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// reporter holds what the node finds.
type reporter struct {
	log   *slog.Logger
	dirty chan struct{} // holds one token while something is untold

	mu      sync.Mutex
	latest  map[string]finding
	site    *cloudv1.Site
	siteOf  string          // the list that site is about
	ncpaths string          // that the node works with; empty until there was a state
	named   map[string]bool // the volumes that the cloud names; nil until there was a state
	settled bool
	since   time.Time // when the node ceased to be settled
}

// finding is what is told of one volume.
type finding struct {
	report  *cloudv1.AttachmentReport
	ncpaths string // that the volume works with
	settled bool
}

func newReporter(log *slog.Logger) *reporter {
	return &reporter{log: log, dirty: make(chan struct{}, 1), latest: map[string]finding{}}
}

// set replaces what is told of one volume.
func (r *reporter) set(report *cloudv1.AttachmentReport, p progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := proto.Equal(r.latest[report.GetVolumeId()].report, report)
	r.latest[report.GetVolumeId()] = finding{report, p.ncpaths, p.settled}
	if r.settle() || !same {
		r.tellSoon()
	}
}

// forget stops telling of a volume that the cloud no longer asks about.
func (r *reporter) forget(volumeID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.latest, volumeID)
}

// work replaces the list of paths that the node works with, and the volumes that
// it has to work for.
func (r *reporter) work(ncpaths string, named map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := r.ncpaths == ncpaths
	if !same {
		r.settled, r.since = false, time.Now()
	}
	r.ncpaths, r.named = ncpaths, named
	if r.settle() || !same {
		r.tellSoon()
	}
}

// settle finds out whether the node has settled, and reports whether that is news.
// R is locked.
func (r *reporter) settle() (news bool) {
	settled := r.named != nil
	for id := range r.named {
		// A volume that nobody has looked at yet has no finding.
		f := r.latest[id]
		settled = settled && f.settled && f.ncpaths == r.ncpaths
	}
	if settled == r.settled {
		return false
	}
	r.settled = settled
	if settled {
		r.log.Info("settled", "ncpaths", r.ncpaths, "after", time.Since(r.since))
	} else {
		r.since = time.Now()
	}
	return true
}

// setSite replaces what is told of the machine, seen along a list.
func (r *reporter) setSite(ncpaths string, site *cloudv1.Site) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.siteOf != ncpaths || !proto.Equal(r.site, site) {
		r.site, r.siteOf = site, ncpaths
		r.tellSoon()
	}
}

// list returns the list of paths that the node works with.
func (r *reporter) list() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ncpaths
}

func (r *reporter) tellSoon() {
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

// tell tells the whole.
func (r *reporter) tell(ctx context.Context, c cloudv1.CloudClient) error {
	r.mu.Lock()
	report := &cloudv1.NodeReport{Ncpaths: r.ncpaths, Settled: r.settled, Site: r.site}
	if r.site != nil && r.siteOf != r.ncpaths {
		// Who reads how the paths of another list are reached would take it for
		// this one's.
		report.Site = &cloudv1.Site{Devices: r.site.GetDevices(), Labels: r.site.GetLabels()}
	}
	for _, f := range slices.SortedFunc(maps.Values(r.latest), func(a, b finding) int {
		return cmp.Compare(a.report.GetVolumeId(), b.report.GetVolumeId())
	}) {
		report.Attachments = append(report.Attachments, f.report)
	}
	r.mu.Unlock()
	_, err := c.ReportNode(ctx, report)
	return err
}
