// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

const (
	reportTimeout = 10 * time.Second
	// reportInterval is how often the whole is told although nothing changed.
	reportInterval = 30 * time.Second
)

// reporter tells the cloud what the keepers have found, each time it changes.
type reporter struct {
	log   *slog.Logger
	dirty chan struct{} // holds one token while something is untold

	mu     sync.Mutex
	client cloudv1.CloudClient // nil while there is no connection
	latest map[string]*cloudv1.AttachmentReport
}

func newReporter(log *slog.Logger) *reporter {
	return &reporter{log: log, dirty: make(chan struct{}, 1), latest: map[string]*cloudv1.AttachmentReport{}}
}

// set replaces what is told of one volume.
func (r *reporter) set(report *cloudv1.AttachmentReport) {
	r.mu.Lock()
	same := proto.Equal(r.latest[report.GetVolumeId()], report)
	r.latest[report.GetVolumeId()] = report
	r.mu.Unlock()
	if !same {
		r.mark()
	}
}

// forget stops telling of a volume that the cloud no longer asks about.
func (r *reporter) forget(volumeID string) {
	r.mu.Lock()
	delete(r.latest, volumeID)
	r.mu.Unlock()
}

func (r *reporter) connect(client cloudv1.CloudClient) {
	r.mu.Lock()
	fresh := r.client != client
	r.client = client
	r.mu.Unlock()
	if fresh {
		r.mark() // whoever answers now may know nothing
	}
}

func (r *reporter) disconnect() {
	r.mu.Lock()
	r.client = nil
	r.mu.Unlock()
}

func (r *reporter) mark() {
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

func (r *reporter) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.dirty:
		case <-time.After(reportInterval):
		}
		if err := r.tell(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "cannot report to the cloud controller", "error", err)
			r.mark()
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(reconnectPause):
			}
		}
	}
}

func (r *reporter) tell(ctx context.Context) error {
	r.mu.Lock()
	client := r.client
	report := &cloudv1.NodeReport{}
	for _, a := range r.latest {
		report.Attachments = append(report.Attachments, a)
	}
	r.mu.Unlock()
	if client == nil {
		return nil // connect marks it again
	}
	slices.SortFunc(report.Attachments, func(a, b *cloudv1.AttachmentReport) int {
		return cmp.Compare(a.GetVolumeId(), b.GetVolumeId())
	})
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	_, err := client.ReportNode(ctx, report)
	return err
}
