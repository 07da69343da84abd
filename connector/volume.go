// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// volume is what is remembered of a Volume between calls; all of it can be
// found out again.
type volume struct {
	sync.Mutex        // serialises the calls for one WWID
	name       string // of the Volume that is attached, see claim
	// Guarded by Connector.mu; empty once the volume is being detached.
	target  string
	portals map[openiscsi.Portal]bool // that it is to be reached through

	before   int       // usable paths when portals last changed, see drain; negative while that is not known
	makeAt   time.Time // when a map may be made again after a failure
	lost     error     // what a flush has failed with that no Detach has told yet
	probes   probes
	drain    drain
	adoption adoption
	news     broadcast // sent when the volume's probes have found something new
}
