// SPDX-License-Identifier: Apache-2.0

package mallee

import "time"

// Node is a machine that volumes are attached to. EC2 clients see an instance.
type Node struct {
	InstanceID InstanceID
	Name       string // the name in its certificate
	Partition  string
	Initiator  IQN
	// Live is true while the node's agent is connected.
	Live bool
	// Seen is when it last was: now while it is, and zero when that is not known,
	// since the cloud controller was started after it.
	Seen time.Time
	Tags map[string]string
	// Joined is when the node last joined the cloud with a token.
	Joined time.Time
	// CertificateEnds is until when its certificate is good; it is renewed long before.
	CertificateEnds time.Time
}

// Role is what a part of the cloud does.
type Role string

// The roles that join with a token. A cloud controller does not join.
const (
	RoleSC Role = "sc" // storage controller of a partition
	RoleNC Role = "nc" // node controller
	RoleSP Role = "sp" // storage processor
)

// JoinTokenSpec says for whom a join token is.
type JoinTokenSpec struct {
	Role      Role
	Name      string   // of the part, unique in its role
	Partition string   // that the part works for
	Hosts     []string // host names and addresses that the certificate is good for as well
	// Lifetime is how long the token can be used; 0 means the cloud's default.
	Lifetime time.Duration
}

// JoinToken lets one machine join the cloud, once, as one part.
type JoinToken struct {
	JoinTokenSpec
	// Token is the secret itself. It is told when the token is made, and never again.
	Token   string
	Expires time.Time
}
