// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"log/slog"
	"sync"
	"time"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// Bounds of one report, and the pause after one that failed.
const (
	reportTimeout = 20 * time.Second
	reportPause   = time.Second
)

// reporter sends the latest report to the CLC that the stream goes to. A CLC
// that is slow or away holds up nothing but the reports.
type reporter struct {
	partition string
	log       *slog.Logger
	wake      chan struct{}

	mu     sync.Mutex
	client cloudv1.CloudClient // nil while there is no stream
	latest *cloudv1.PartitionReport
}

func newReporter(partition string, log *slog.Logger) *reporter {
	return &reporter{partition: partition, log: log, wake: make(chan struct{}, 1)}
}

func (r *reporter) connect(c cloudv1.CloudClient) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client = c
}

func (r *reporter) disconnect() { r.connect(nil) }

// set makes report the one to send next.
func (r *reporter) set(report *cloudv1.PartitionReport) {
	report.Partition = r.partition
	r.mu.Lock()
	r.latest = report
	r.mu.Unlock()
	r.nudge()
}

func (r *reporter) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reporter) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		if err := r.send(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "cannot report to the cloud controller", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(reportPause):
			}
			r.nudge()
		}
	}
}

// send sends the latest report, unless it was sent or there is nobody to send it to.
func (r *reporter) send(ctx context.Context) error {
	r.mu.Lock()
	client, report := r.client, r.latest
	r.mu.Unlock()
	if client == nil || report == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	if _, err := client.ReportPartition(ctx, report); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest == report {
		r.latest = nil
	}
	return nil
}
