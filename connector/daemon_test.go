// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/multipath"
)

// absent is a multipathd that takes no command.
type absent struct {
	daemon
	asked int
}

func (a *absent) Ping(context.Context) error { return multipath.ErrNotRunning }

func (a *absent) Maps(context.Context) ([]multipath.Map, error) {
	a.asked++
	return nil, multipath.ErrNotRunning
}

func (a *absent) AddMap(context.Context, string) error {
	a.asked++
	return multipath.ErrNotRunning
}

func (a *absent) AddPath(context.Context, string) error {
	a.asked++
	return multipath.ErrNotRunning
}

// Each command to a multipathd that hangs takes seconds, and a volume's calls wait for
// one another: a detach would stand behind them.
func TestAMultipathdThatDoesNotAnswerIsAskedForNothing(t *testing.T) {
	m := alone(t)
	m.has(wwid, "dm-0")
	var silent absent
	m.daemon = &silent
	for range 2 {
		status, err := m.Repair(t.Context(), vol())
		if !errors.Is(err, multipath.ErrNotRunning) {
			t.Fatalf("%+v, %v", status, err)
		}
		settle(m.Connector)
		m.volume(wwid).adoption.askNext = time.Time{}
		for _, p := range m.volume(wwid).probes.session {
			p.addAt = time.Time{}
		}
		if path := status.Paths[0]; path.State != PathJoining {
			t.Errorf("%+v", path)
		}
	}
	status, _ := m.Repair(t.Context(), vol())
	if silent.asked != 0 || !strings.HasSuffix(status.Paths[0].Reason, multipath.ErrNotRunning.Error()) {
		t.Errorf("asked %d times; %+v", silent.asked, status.Paths[0])
	}
}
