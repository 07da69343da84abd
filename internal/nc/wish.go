// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"slices"

	"google.golang.org/protobuf/proto"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
)

// wish is what the cloud wants of one volume.
type wish struct {
	*cloudv1.DesiredAttachment
	terms
}

// terms are what the cloud wants of all volumes of a node.
type terms struct {
	ncpaths  string
	portals  []string // that the SAN advertises, for an export that tells none
	minPaths int
	chap     connector.CHAP
}

func (w wish) equal(o wish) bool {
	return w.ncpaths == o.ncpaths && w.minPaths == o.minPaths && w.chap == o.chap &&
		slices.Equal(w.advertised(), o.advertised()) && proto.Equal(w.DesiredAttachment, o.DesiredAttachment)
}

// advertised returns what "nopath" means for this volume.
func (w wish) advertised() []string {
	if portals := w.GetExport().GetPortals(); len(portals) > 0 {
		return portals
	}
	return w.portals
}
