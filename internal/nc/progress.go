// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"slices"
	"time"

	"github.com/mallee-io/mallee/connector"
)

// settleTime is how long paths that are not up hold up their volume's settling
// while none of them comes up: a login and the proof of identity take less, when
// there is somebody who answers.
const settleTime = 15 * time.Second

// progress tells how far a volume is on its way to the paths of a list.
//
// It has settled once no path drains any more and each path of the list is up or
// has had its time: one that cannot be reached holds up nobody else. A path that is
// lost later does not unsettle it, another meaning of the list does.
type progress struct {
	ncpaths string
	portals []connector.Portal // that the list means here
	up      int                // how many of them were up, at most
	since   time.Time          // when the last of those came up, or the list came to mean them
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

// tried reports whether the paths that are not up have had their time.
func (p *progress) tried() bool { return time.Since(p.since) >= settleTime }

// look notes how the paths of a plan were found to be.
func (p *progress) look(plan plan, s connector.Status) {
	if up := s.Up(); up > p.up {
		p.up, p.since = up, time.Now()
	}
	switch {
	case !s.Settled():
		p.settled = false
	case s.Up() == len(plan.paths), p.tried():
		p.settled = true
	}
}
