// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/test/scenario"
)

// guest writes to devices and reads everything back, again and again, until it is
// stopped.
type guest struct {
	last chan struct{} // closed when no further round is to begin
	done chan struct{} // closed when the last one has ended
	sum  scenario.Outcome
	err  error
}

// startGuest starts a guest on a machine.
func startGuest(ctx context.Context, m *lab.Machine, devices []string) *guest {
	g := &guest{last: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(g.done)
		for {
			if g.err = g.round(ctx, m, devices); g.err != nil {
				return
			}
			select {
			case <-g.last:
				return
			default:
			}
		}
	}()
	return g
}

func (g *guest) round(ctx context.Context, m *lab.Machine, devices []string) error {
	fio, err := scenario.StartFio(ctx, m, scenario.Workload{Devices: devices, Length: 15 * time.Second})
	if err != nil {
		return err
	}
	o, err := fio.Wait(ctx)
	g.sum.Errors += o.Errors
	g.sum.BytesWritten += o.BytesWritten
	g.sum.BytesVerified += o.BytesVerified
	g.sum.LongestStall = max(g.sum.LongestStall, o.LongestStall)
	return err
}

// stop ends the guest after its present round, and returns what all have come to.
func (g *guest) stop() (scenario.Outcome, error) {
	close(g.last)
	<-g.done
	return g.sum, g.err
}

// intact asserts that a workload has lost nothing: it has written, read all of it
// back, and seen no error.
func intact(t *testing.T, o scenario.Outcome) {
	t.Helper()
	if o.Errors != 0 || o.BytesVerified == 0 || o.BytesVerified != o.BytesWritten {
		t.Errorf("fio: %+v", o)
	}
	t.Logf("%d MiB written and verified, longest stall %v", o.BytesVerified>>20, o.LongestStall)
}
