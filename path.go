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
	PathUnresolved  PathState = "unresolved"  // this node cannot tell where it leads: no such label, device or name
	PathDraining    PathState = "draining"    // no longer in ncpaths; it goes when others have taken its place
)

// Path is one way from a node to a volume, as the node reports it: one that there
// should be, or one beside those that is draining or quarantined.
type Path struct {
	VolumeID   VolumeID
	InstanceID InstanceID
	Text       string // the element of ncpaths; empty for a path that it does not name
	Interface  string // label before the colon in ncpaths; empty for the route's choice
	NetDevice  string // that the label stands for on the node, "eth1"; empty for the route's choice
	Portal     string // "address:port"; empty while it is unresolved
	State      PathState
	BlockDev   string // "sdb"; empty while there is none
	Reason     string // why it is not up; empty when it is
}

// Expected reports whether p is one of the paths that there should be. A node that is
// older than the lists of labels and names tells no Text.
func (p Path) Expected() bool {
	return p.Text != "" || p.State != PathDraining && p.State != PathQuarantined
}

// ReachState tells whether a portal can be reached from a machine.
type ReachState string

// The states of reach.
const (
	Reachable   ReachState = "reachable"
	Unreachable ReachState = "unreachable" // nobody answers at the address
	ReachUnsure ReachState = "unknown"     // there is no harmless way to tell
	Unresolved  ReachState = "unresolved"  // the machine cannot tell where the path leads
)

// ReachEvidence tells what a ReachState rests on, the best first.
type ReachEvidence string

// The kinds of evidence.
const (
	BySession   ReachEvidence = "session"   // an iSCSI session over this very path is logged in
	ByNeighbour ReachEvidence = "neighbour" // the portal answers ARP (RFC 826) or neighbour discovery (RFC 4861)
	ByGateway   ReachEvidence = "gateway"   // the first router on the way does; nothing is known of what is behind it
	ByTCP       ReachEvidence = "tcp"       // the portal takes a connection, which was reset at once
)

// Reach is one path of a list as one machine sees it.
type Reach struct {
	Text      string // the element of the list; the address for "nopath"
	Interface string // its label
	NetDevice string // that the label stands for; empty for the route's choice
	Portal    string // "address:port"; empty while it is unresolved
	State     ReachState
	Evidence  ReachEvidence // empty when there is none
	Reason    string        // why it is not reachable; empty when it is
}

// NetDevice is a network device of a machine.
type NetDevice struct {
	Name      string
	Up        bool     // administratively up, with carrier
	Addresses []string // "10.107.1.101/24"
}

// InterfaceLabel is one entry of STORAGE_INTERFACES on a machine.
type InterfaceLabel struct {
	Label     string
	NetDevice string
	Source    string // the file that it stands in
	Problem   string // why it is of no use; empty when it is
}

// Site is a machine as paths see it: a node along ncpaths, or the machine of a
// storage controller along scpaths.
type Site struct {
	Role       Role       // RoleNC or RoleSC
	Name       string     // of the part
	InstanceID InstanceID // of a node
	Partition  string
	Live       bool
	// Paths is the list that the machine works with or, in a PathCheck, the one
	// that is asked about. During a change of ncpaths it is the old one on nodes
	// that the change has not yet come to.
	Paths string
	// Settled is true when nothing is left to add or to remove for that list, as
	// far as its paths can be reached.
	Settled  bool
	Devices  []NetDevice
	Labels   []InterfaceLabel
	Reach    []Reach
	Warnings []string
}

// Possible returns how many paths of the list can be reached as far as anybody
// knows: a path behind a router is one of them, a silent portal is not.
func (s Site) Possible() int {
	n := 0
	for _, r := range s.Reach {
		if r.State == Reachable || r.State == ReachUnsure {
			n++
		}
	}
	return n
}

// PathCheck is what a list of paths means, or would mean, on each machine.
type PathCheck struct {
	Name  string // of the property, "PARTI00.storage.ncpaths"
	Value string // that was looked at
	// MinPaths is how many paths must be possible on each machine.
	MinPaths int
	Sites    []Site // sorted by role and name
	// Refused says for which machines the value would not do, so that a set of it
	// is refused unless it is forced; empty when it would.
	Refused []string
	// Warnings are what an admin should know and what refuses nothing.
	Warnings []string
}
