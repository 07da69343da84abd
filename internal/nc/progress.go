// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"slices"
	"time"

	"github.com/mallee-io/mallee/connector"
)

// settleTime is how long a path that is not up holds up its volume's settling: a
// login and the proof of identity take less, when there is somebody who answers.
const settleTime = 15 * time.Second

// progress tells how far a volume is on its way to the paths of a list.
//
// It has settled once no path drains any more and each path of the list is up or
// has been tried for settleTime: one that cannot be reached holds up nobody else.
// A path that is lost later does not unsettle it, another meaning of the list does.
type progress struct {
	ncpaths string
	portals []connector.Portal // that the list means here
	since   time.Time          // when it came to mean them
	settled bool
}

// begin notes what the list means now.
func (p *progress) begin(ncpaths string, portals []connector.Portal) {
	if p.ncpaths == ncpaths && slices.Equal(p.portals, portals) && !p.since.IsZero() {
		return
	}
	*p = progress{ncpaths: ncpaths, portals: portals, since: time.Now()}
}

// skip notes that the volume has no paths here that a list would concern.
func (p *progress) skip(ncpaths string) { *p = progress{ncpaths: ncpaths, settled: true} }

// tried reports whether each path of the list has had its time.
func (p *progress) tried() bool { return time.Since(p.since) >= settleTime }

// look notes how the paths of a plan were found to be.
func (p *progress) look(plan plan, s connector.Status) {
	switch {
	case !s.Settled():
		p.settled = false
	case s.Up() == len(plan.paths), p.tried():
		p.settled = true
	}
}
