// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"time"
)

// ReportInterval is how often a report is made although nothing has changed.
const ReportInterval = 30 * time.Second

// Bounds of one report, and the pause after one that failed.
const (
	reportTimeout = 20 * time.Second
	reportPause   = time.Second
)

func (a *Agent[S]) reportIsDue() {
	select {
	case a.due <- struct{}{}:
	default:
	}
}

// reportAll reports for as long as ctx lasts. A CLC that is slow or away holds
// up nothing but the reports; what changes meanwhile is told as one.
func (a *Agent[S]) reportAll(ctx context.Context) {
	told := "" // the failure that was logged last
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.options.Changed:
		case <-a.due:
		case <-time.After(ReportInterval):
		}
		err := a.report(ctx)
		if err == nil {
			told = ""
			continue
		}
		if ctx.Err() == nil && told != err.Error() {
			told = err.Error()
			a.options.Log.WarnContext(ctx, "cannot report to the cloud controller", "error", err)
		}
		if !pause(ctx, reportPause) {
			return
		}
		a.reportIsDue()
	}
}

// report reports once, if there is somebody to report to.
func (a *Agent[S]) report(ctx context.Context) error {
	a.mu.Lock()
	client := a.client
	a.mu.Unlock()
	if client == nil {
		return nil // it is due after the next connect
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	return a.options.Report(ctx, client)
}
