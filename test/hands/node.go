// SPDX-License-Identifier: Apache-2.0

package hands

import (
	"context"
	"io"
	"time"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/lab"
)

// The operations of the role node, with their arguments and results.
const (
	OpAttach = "attach" // Attach → Attached
	OpRepair = "repair" // Volume → connector.Status
	OpDetach = "detach" // []Volume → Detached
	OpRead   = "read"   // Read → Latency
)

// Volume is a connector.Volume on its way: that one's CHAP shows no password,
// however it is encoded.
type Volume struct {
	connector.Volume
	CHAP struct{ Username, Password string }
}

// Connector returns v as the connector has it.
func (v Volume) Connector() connector.Volume {
	v.Volume.CHAP = connector.CHAP(v.CHAP)
	return v.Volume
}

// Attach are the arguments of OpAttach.
type Attach struct {
	Volumes []Volume // all at once
	// Complete makes it go on until all paths of all volumes are up.
	Complete bool
}

// Attached is the result of OpAttach. Times count from the call of the first
// Attach.
type Attached struct {
	Status   []connector.Status // of each volume, when it was ready or, with Complete, complete
	Ready    time.Duration      // until the last of the volumes was ready
	Complete time.Duration      // until the last of the paths was up; 0 without Attach.Complete
	Events   []Event            // that the connector told of meanwhile
	Started
}

// Event is a line of the connector's log.
type Event struct {
	After time.Duration // the call of the first Attach
	Text  string
}

// Detached is the result of OpDetach.
type Detached struct {
	Took   time.Duration // from the call of the first Detach to the return of the last
	Errors []string      // of each volume; empty for success
	Events []Event
	Started
}

// Started is what it took: how many processes began meanwhile, and the connector's own
// time on the CPU.
type Started struct {
	Ours   int // by the connector
	System int // by anybody in the machine, threads included (proc(5), /proc/stat, processes)
	CPU    time.Duration
}

// Read are the arguments of OpRead: one reader for each device reads blocks of 4 KiB,
// one after the other and past the page cache, for a time.
type Read struct {
	Devices []string // paths
	For     time.Duration
}

// Latency tells how long single reads took.
type Latency struct {
	Reads         int
	P50, P99, Max time.Duration
}

// StartNode boots a machine's daemons, as its distribution would, and starts the
// role node in it: a Connector on a machine that is set up as malleed does it.
func StartNode(ctx context.Context, m *lab.Machine, log io.Writer) (*Hands, error) {
	for name, argv := range map[string][]string{"iscsid": {"iscsid", "-f"}, "multipathd": {"multipathd", "-d"}} {
		if _, err := m.Spawn(ctx, name, argv...); err != nil {
			return nil, err
		}
	}
	for {
		_, err := m.Run(ctx, "multipathd", "show", "daemon")
		if err == nil {
			return Start(m, "node", log), nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
