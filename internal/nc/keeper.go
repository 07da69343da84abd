// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// wish is what the cloud wants of one volume.
type wish struct {
	*cloudv1.DesiredAttachment
	ncpaths string
	chap    connector.CHAP
}

func (w wish) equal(o wish) bool {
	return w.ncpaths == o.ncpaths && w.chap == o.chap && proto.Equal(w.DesiredAttachment, o.DesiredAttachment)
}

// keeper makes one volume's wish come true, step by step.
type keeper struct {
	connector *connector.Connector
	log       *slog.Logger
	reporter  *reporter
	metrics   *metrics

	mu     sync.Mutex
	wish   wish
	report *cloudv1.AttachmentReport // the latest; nil before the first step
	since  time.Time                 // when the wish came

	changed chan struct{} // holds one token while a new wish waits
}

// Pauses between two looks at a volume without any event.
const (
	whileWaiting  = time.Second
	whileAttached = 5 * time.Second
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
		events := k.connector.Changed()
		pause := k.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		case <-events:
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
	k.reporter.set(report)
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
		return whileIdle // the wish changes when the SAN offers the volume
	}
	v, err := volume(w)
	if err != nil {
		report.Message = err.Error()
		return whileIdle
	}
	status, err := k.connector.Repair(ctx, v)
	if err != nil {
		report.Message = err.Error()
		if !errors.Is(err, connector.ErrBusy) {
			k.log.WarnContext(ctx, "cannot look at the paths", "error", err)
		}
	}
	report.Paths = paths(status)
	if status.Device == "" {
		if err == nil { // looked, and it is gone
			report.State, report.Device, report.SizeBytes = cloudv1.AttachmentReport_STATE_ATTACHING, "", 0
		}
		return whileWaiting
	}
	// A device that was handed out stays attached whatever becomes of its paths.
	report.State, report.Device = cloudv1.AttachmentReport_STATE_ATTACHED, status.Device
	if err == nil {
		report.SizeBytes, report.Message = status.SizeBytes, status.Growth
	}
	if status.Up() < len(v.Portals) || status.Growth != "" {
		return whileWaiting
	}
	return whileAttached
}

func (k *keeper) detach(ctx context.Context, w wish, before, report *cloudv1.AttachmentReport) time.Duration {
	if before.GetState() == cloudv1.AttachmentReport_STATE_DETACHED {
		// With its message: that writes were lost is found once only.
		report.State, report.Message = before.GetState(), before.GetMessage()
		return whileIdle
	}
	report.State = cloudv1.AttachmentReport_STATE_DETACHING
	// Which paths are chosen now has no part in taking the volume down: a
	// property that has become unusable must not keep it here.
	v, pathsErr := volume(w)
	ctx, cancel := context.WithTimeout(ctx, detachTimeout)
	defer cancel()
	err := k.connector.Detach(ctx, v)
	if lost, ok := errors.AsType[*connector.LostWritesError](err); ok {
		report.Message, err = lost.Error(), nil
	}
	if err != nil {
		report.Message, report.Device, report.SizeBytes = err.Error(), before.GetDevice(), before.GetSizeBytes()
		if _, inUse := errors.AsType[*connector.InUseError](err); inUse && pathsErr == nil {
			// Its user relies on the paths until the device is given back.
			status, _ := k.connector.Repair(ctx, v)
			report.Paths, report.Device, report.SizeBytes = paths(status), status.Device, status.SizeBytes
		}
		return whileWaiting
	}
	report.State = cloudv1.AttachmentReport_STATE_DETACHED
	return whileIdle
}

// volume joins what the SAN offers with the paths that the admin has chosen.
// When those are not usable all but the portals is there beside the error.
func volume(w wish) (connector.Volume, error) {
	e := w.GetExport()
	v := connector.Volume{
		Name:      w.GetVolumeId(),
		WWID:      e.GetWwid(),
		Target:    e.GetTarget(),
		LUN:       uint16(e.GetLun()),
		CHAP:      w.chap,
		SizeBytes: w.GetSizeBytes(),
	}
	chosen, err := mallee.ParsePaths(w.ncpaths)
	if err != nil {
		return v, fmt.Errorf("the property ncpaths is not usable: %w", err)
	}
	var list []netip.AddrPort
	for _, spec := range chosen.List {
		if spec.Label != "" || spec.Name != "" {
			return v, fmt.Errorf("the property ncpaths is not usable: %s has a label or a name", spec.Text)
		}
		list = append(list, netip.AddrPortFrom(spec.Addr, spec.Port))
	}
	if chosen.Any {
		if list, err = mallee.ParseAddrs(joined(e.GetPortals()), mallee.ISCSIPort); err != nil {
			return v, fmt.Errorf("the SAN's portals are not usable: %w", err)
		}
	}
	for _, addr := range list {
		// A storage processor has one target portal group; LIO calls it 1.
		v.Portals = append(v.Portals, connector.Portal{Addr: addr, TPGT: 1})
	}
	if len(v.Portals) == 0 {
		return v, errors.New("the SAN tells no portal")
	}
	return v, nil
}

func paths(s connector.Status) []*cloudv1.PathReport {
	if s.Paths == nil { // nobody could look
		return nil
	}
	reports := make([]*cloudv1.PathReport, len(s.Paths))
	for i, p := range s.Paths {
		reports[i] = &cloudv1.PathReport{
			Portal: p.Portal.String(), State: string(p.State), BlockDev: p.Disk, Reason: p.Reason,
		}
	}
	return reports
}

func (k *keeper) logChange(ctx context.Context, before, after *cloudv1.AttachmentReport, since time.Time) {
	if before.GetState() != after.GetState() || before.GetMessage() != after.GetMessage() {
		k.log.InfoContext(ctx, "attachment is "+stateName(after.GetState()), "device", after.GetDevice(),
			"message", after.GetMessage(), "after", time.Since(since))
	}
	had := map[string]*cloudv1.PathReport{}
	for _, p := range before.GetPaths() {
		had[p.GetPortal()] = p
	}
	for _, p := range after.GetPaths() {
		if b := had[p.GetPortal()]; b.GetState() != p.GetState() || b.GetReason() != p.GetReason() {
			k.log.InfoContext(ctx, "path is "+p.GetState(), "path", p.GetPortal(), "disk", p.GetBlockDev(), "reason", p.GetReason())
		}
	}
}
