// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

// pollInterval is how often files and devices are looked at. A look at them takes
// microseconds and, unlike inotify, sees what another machine writes to a network
// file system, and a file whose directory comes and goes.
const pollInterval = time.Second

// settlePause is the time between two looks when somebody waits, and there are at
// most settleLooks of them: a file that changes on and on must not keep them.
const (
	settlePause = 100 * time.Millisecond
	settleLooks = 5
)

// pollNow looks until each file counts as it is now.
func (r *Resolver) pollNow(ctx context.Context) {
	for range settleLooks {
		if r.poll(ctx) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settlePause):
		}
	}
}

// poll looks at files and devices. It is called by New and Run alone, and asks the
// machine without the lock, so that a file system that hangs holds nobody else up.
// Settled is false while a file is still to be read.
func (r *Resolver) poll(ctx context.Context) (settled bool) {
	devices, err := r.netDevices()
	settled = true
	for _, f := range r.files {
		settled = f.poll() && settled
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.devices = make(map[string]bool, len(devices))
		for _, d := range devices {
			r.devices[d] = true
		}
	}
	before := r.labels
	r.labels = merge(r.files, r.devices)
	if err != nil {
		r.labels.warnings = append(r.labels.warnings, fmt.Sprintf("the network devices count as they were: %v", err))
	}
	relabelled, changed := !slices.Equal(r.labels.list, before.list), !slices.Equal(r.labels.warnings, before.warnings)
	for zone, there := range r.zones {
		if r.devices[zone] != there {
			r.zones[zone], changed = !there, true
		}
	}
	for _, w := range r.labels.warnings {
		if !slices.Contains(before.warnings, w) {
			r.log.WarnContext(ctx, "storage interfaces are at fault", "fault", w)
		}
	}
	if relabelled {
		r.log.InfoContext(ctx, "storage interfaces have changed", "labels", r.labels.String())
		r.lookupAll() // whoever moves cables and labels may have changed DNS too
	}
	if relabelled || changed {
		r.tell()
	}
	return settled
}

func kernelDevices() ([]string, error) {
	devices, err := net.Interfaces()
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Name
	}
	return names, err
}
