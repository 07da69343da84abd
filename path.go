// SPDX-License-Identifier: Apache-2.0

package mallee

// PathState tells how one expected path of an attachment is.
type PathState string

// The states of a path. Only a path that is up carries I/O.
const (
	PathUp          PathState = "up"          // identity verified, active in the map
	PathJoining     PathState = "joining"     // session there, not yet verified or not yet in the map
	PathDown        PathState = "down"        // was there, does not answer
	PathMissing     PathState = "missing"     // no session yet
	PathQuarantined PathState = "quarantined" // another identity answered; kept out
)

// Path is one expected way from a node to a volume, as the node reports it.
type Path struct {
	VolumeID   VolumeID
	InstanceID InstanceID
	Interface  string // label before the colon in ncpaths; empty for the route's choice
	Portal     string // "address:port"
	State      PathState
	BlockDev   string // "sdb"; empty while there is none
	Reason     string // why it is not up; empty when it is
}
