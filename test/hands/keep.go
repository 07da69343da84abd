// SPDX-License-Identifier: Apache-2.0

package hands

import (
	"time"

	"github.com/mallee-io/mallee/connector"
)

// OpKeep is an operation of the role node: Keep → []Sight.
const OpKeep = "keep"

// Keep are the arguments of OpKeep: repair a volume for a time as the node controller
// does, at each event and now and then.
type Keep struct {
	Volume Volume
	For    time.Duration
}

// Sight is a volume as it was found from a time on.
type Sight struct {
	At     time.Time
	Status connector.Status
	Err    string
}
