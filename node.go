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
}
