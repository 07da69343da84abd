// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/site"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// keeper makes one volume's wish come true, step by step.
type keeper struct {
	connector Connector
	resolver  site.Resolver
	log       *slog.Logger
	reporter  *reporter
	metrics   *metrics

	mu     sync.Mutex
	wish   wish
	report *cloudv1.AttachmentReport // the latest; nil before the first step
	since  time.Time                 // when the wish came

	changed chan struct{} // holds one token while a new wish waits

	progress progress // run's own
}

// Pauses between two looks at a volume without any event.
const (
	whileWaiting  = time.Second
	whileAttached = time.Minute
	whileIdle     = time.Minute
)

// detachTimeout bounds one attempt to take a volume down; another follows.
const detachTimeout = time.Minute

// set replaces the wish.
func (k *keeper) set(w wish) {
	k.mu.Lock()
	same := k.wish.DesiredAttachment != nil && k.wish.equal(w)
	if !same {
		k.wish, k.since = w, time.Now()
	}
	k.mu.Unlock()
	if same {
		return
	}
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// released reports whether nothing of the volume is left here.
func (k *keeper) released() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wish.GetExport() == nil ||
		k.report.GetState() == cloudv1.AttachmentReport_STATE_DETACHED && k.report.GetGeneration() == k.wish.GetGeneration()
}

func (k *keeper) run(ctx context.Context) {
	for {
		k.mu.Lock()
		wwid := k.wish.GetExport().GetWwid()
		k.mu.Unlock()
		events, resolved := k.connector.Changed(wwid), k.resolver.Changed()
		pause := k.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		case <-events:
		case <-resolved:
		case <-time.After(pause):
		}
	}
}

// step compares the wish with what is, takes a step, and returns how long to
// wait for an event before the next one.
func (k *keeper) step(ctx context.Context) time.Duration {
	k.mu.Lock()
	w, before, since := k.wish, k.report, k.since
	k.mu.Unlock()
	ctx = telemetry.WithRequestID(ctx, mallee.RequestID(w.GetRequestId()))
	ctx = telemetry.With(ctx, slog.String("volume_id", w.GetVolumeId()), slog.Uint64("generation", w.GetGeneration()))

	report := &cloudv1.AttachmentReport{VolumeId: w.GetVolumeId(), Generation: w.GetGeneration()}
	if before.GetGeneration() != w.GetGeneration() {
		before = nil
	}
	var pause time.Duration
	switch {
	case w.GetWanted():
		pause = k.attach(ctx, w, before, report)
	case w.GetExport() == nil:
		report.State, pause = cloudv1.AttachmentReport_STATE_DETACHED, whileIdle
		k.progress.skip(w.ncpaths)
	default:
		pause = k.detach(ctx, w, before, report)
	}
	if ctx.Err() != nil {
		return 0 // half a look is no finding
	}
	k.logChange(ctx, before, report, since)
	k.metrics.observe(before, report, since)
	k.mu.Lock()
	k.report = report
	k.mu.Unlock()
	k.reporter.set(report, k.progress)
	return pause
}

func (k *keeper) attach(ctx context.Context, w wish, before, report *cloudv1.AttachmentReport) time.Duration {
	report.State = cloudv1.AttachmentReport_STATE_ATTACHING
	if before.GetState() == cloudv1.AttachmentReport_STATE_ATTACHED {
		// What cannot be looked at now, because multipathd restarts say, is
		// where it was.
		report.State, report.Device = before.GetState(), before.GetDevice()
		report.SizeBytes = before.GetSizeBytes()
	}
	if w.GetExport() == nil {
		k.progress.skip(w.ncpaths)
		return whileIdle // the wish changes when the SAN offers the volume
	}
	p := newPlan(k.resolver, w)
	status, err := k.repair(ctx, w, p)
	report.Paths = p.reports(status)
	if err != nil {
		report.Message = err.Error()
		k.log.WarnContext(ctx, "cannot look at the paths", "error", err)
		if report.Device == "" && k.progress.tried() {
			// Nobody's I/O depends on a volume that cannot be attached.
			k.progress.settled = true
		}
	} else {
		report.Message = p.obstacle(status, k.progress.tried())
	}
	if status.Device == "" {
		if err == nil { // looked, and it is gone
			report.State, report.Device, report.SizeBytes = cloudv1.AttachmentReport_STATE_ATTACHING, "", 0
		}
		return whileWaiting
	}
	// A device that was handed out stays attached whatever becomes of its paths.
	report.State, report.Device = cloudv1.AttachmentReport_STATE_ATTACHED, status.Device
	if err == nil {
		report.SizeBytes = status.SizeBytes
	}
	if status.Up() < len(p.volume.Portals) || !k.progress.settled || status.Growth != "" {
		return whileWaiting
	}
	return whileAttached
}

// repair takes a step towards the paths of the plan.
func (k *keeper) repair(ctx context.Context, w wish, p plan) (connector.Status, error) {
	k.progress.begin(w.ncpaths, p.volume.Portals)
	status, err := k.connector.Repair(ctx, p.volume)
	if err == nil {
		k.progress.look(p, status)
	}
	return status, err
}

func (k *keeper) detach(ctx context.Context, w wish, before, report *cloudv1.AttachmentReport) time.Duration {
	if before.GetState() == cloudv1.AttachmentReport_STATE_DETACHED {
		// With its message: that writes were lost is found once only.
		report.State, report.Message = before.GetState(), before.GetMessage()
		k.progress.skip(w.ncpaths)
		return whileIdle
	}
	report.State = cloudv1.AttachmentReport_STATE_DETACHING
	// Where the paths lead has no part in taking the volume down: a label or a
	// property that has become unusable must not keep it here.
	p := newPlan(k.resolver, w)
	ctx, cancel := context.WithTimeout(ctx, detachTimeout)
	defer cancel()
	err := k.connector.Detach(ctx, p.volume)
	_, inUse := errors.AsType[*connector.InUseError](err)
	if !inUse {
		k.progress.skip(w.ncpaths)
	}
	if lost, ok := errors.AsType[*connector.LostWritesError](err); ok {
		report.Message, err = lost.Error(), nil
	}
	if err != nil {
		report.Message, report.Device, report.SizeBytes = err.Error(), before.GetDevice(), before.GetSizeBytes()
		if inUse {
			// Its user relies on the paths until the device is given back.
			status, _ := k.repair(ctx, w, p)
			report.Paths, report.Device, report.SizeBytes = p.reports(status), status.Device, status.SizeBytes
		}
		return whileWaiting
	}
	report.State = cloudv1.AttachmentReport_STATE_DETACHED
	return whileIdle
}

func (k *keeper) logChange(ctx context.Context, before, after *cloudv1.AttachmentReport, since time.Time) {
	if before.GetState() != after.GetState() || before.GetMessage() != after.GetMessage() {
		k.log.InfoContext(ctx, "attachment is "+stateName(after.GetState()), "device", after.GetDevice(),
			"message", after.GetMessage(), "after", time.Since(since))
	}
	had := map[pathKey]*cloudv1.PathReport{}
	for _, p := range before.GetPaths() {
		had[keyOf(p)] = p
	}
	for _, p := range after.GetPaths() {
		if b := had[keyOf(p)]; b.GetState() != p.GetState() || b.GetReason() != p.GetReason() {
			k.log.InfoContext(ctx, "path is "+p.GetState(), "path", cmp.Or(p.GetPortal(), p.GetText()), "label", p.GetInterface(),
				"net_device", p.GetDevice(), "disk", p.GetBlockDev(), "reason", p.GetReason())
		}
	}
}

// pathKey tells a path from the others of its volume, also when it begins to drain.
// One that is not resolved has no portal.
type pathKey struct{ portal, device, text string }

func keyOf(p *cloudv1.PathReport) pathKey {
	if p.GetPortal() == "" {
		return pathKey{text: p.GetText()}
	}
	return pathKey{portal: p.GetPortal(), device: p.GetDevice()}
}
