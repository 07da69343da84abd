// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// reporter holds what the keepers have found.
type reporter struct {
	dirty chan struct{} // holds one token while something is untold

	mu     sync.Mutex
	latest map[string]*cloudv1.AttachmentReport
}

func newReporter() *reporter {
	return &reporter{dirty: make(chan struct{}, 1), latest: map[string]*cloudv1.AttachmentReport{}}
}

// set replaces what is told of one volume.
func (r *reporter) set(report *cloudv1.AttachmentReport) {
	r.mu.Lock()
	same := proto.Equal(r.latest[report.GetVolumeId()], report)
	r.latest[report.GetVolumeId()] = report
	r.mu.Unlock()
	if same {
		return
	}
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

// forget stops telling of a volume that the cloud no longer asks about.
func (r *reporter) forget(volumeID string) {
	r.mu.Lock()
	delete(r.latest, volumeID)
	r.mu.Unlock()
}

// tell tells the whole.
func (r *reporter) tell(ctx context.Context, c cloudv1.CloudClient) error {
	r.mu.Lock()
	attachments := slices.SortedFunc(maps.Values(r.latest), func(a, b *cloudv1.AttachmentReport) int {
		return cmp.Compare(a.GetVolumeId(), b.GetVolumeId())
	})
	r.mu.Unlock()
	_, err := c.ReportNode(ctx, &cloudv1.NodeReport{Attachments: attachments})
	return err
}
