// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"sync"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// reporter holds the latest report until it is sent.
type reporter struct {
	partition string
	changed   chan struct{} // holds one token while there is a report to send

	mu     sync.Mutex
	latest *cloudv1.PartitionReport // nil when it was sent
	wishes wishes                   // that it is about
}

func newReporter(partition string) *reporter {
	return &reporter{partition: partition, changed: make(chan struct{}, 1)}
}

// set makes report the one to send next, for as long as the wishes that it is
// about are good: who answers on the next stream is not to hear of an earlier one.
func (r *reporter) set(report *cloudv1.PartitionReport, about wishes) {
	report.Partition = r.partition
	r.mu.Lock()
	r.latest, r.wishes = report, about
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// send sends the latest report, unless it was sent.
func (r *reporter) send(ctx context.Context, c cloudv1.CloudClient) error {
	r.mu.Lock()
	report, about := r.latest, r.wishes
	r.mu.Unlock()
	if report == nil || !about.good() {
		return nil
	}
	if _, err := c.ReportPartition(ctx, report); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest == report {
		r.latest = nil
	}
	return nil
}
