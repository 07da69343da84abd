// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"io"

	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/test/hands"
)

// SAN steers the target of a machine from the host.
type SAN struct {
	hands *hands.Hands
	disk  string // the machine's first, for slow backstores
}

// Start starts the role san of test/inside in the machine m. What it writes goes to
// log. The target outlives it.
func Start(m *lab.Machine, log io.Writer) SAN { return SAN{hands.Start(m, "san", log), m.Disk(0)} }

// Close ends the role.
func (s SAN) Close() { s.hands.Close() }

// Make makes backstores.
func (s SAN) Make(ctx context.Context, list ...Backstore) error {
	return s.hands.Call(ctx, opMake, wanted{s.disk, list}, nil)
}

// Open makes a portal group, and with the first one its target.
func (s SAN) Open(ctx context.Context, t TPG) error { return s.hands.Call(ctx, opOpen, t, nil) }

// Map puts a backstore behind LUNs that do not exist yet.
func (s SAN) Map(ctx context.Context, backstore string, seats ...Seat) error {
	return s.hands.Call(ctx, opMap, change{backstore, seats}, nil)
}

// Unmap removes LUNs, and returns when what was in flight has ended.
func (s SAN) Unmap(ctx context.Context, seats ...Seat) error {
	return s.hands.Call(ctx, opUnmap, change{Seats: seats}, nil)
}

// Swap puts another backstore behind LUNs, under whatever sessions there are. First
// all are emptied, then all are given, so that the time in which only some are
// changed is short.
func (s SAN) Swap(ctx context.Context, backstore string, seats ...Seat) error {
	return s.hands.Call(ctx, opSwap, change{backstore, seats}, nil)
}

// Suspend makes a slow backstore hang: what is sent to it waits until Resume.
func (s SAN) Suspend(ctx context.Context, backstore string) error {
	return s.hands.Call(ctx, opSuspend, backstore, nil)
}

// Resume undoes Suspend.
func (s SAN) Resume(ctx context.Context, backstore string) error {
	return s.hands.Call(ctx, opResume, backstore, nil)
}
