// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"strings"

	"github.com/mallee-io/mallee"
)

// ours is "mlle" in ASCII: what tells our serials from those of other LIO
// targets, whose first digits are random.
const ours = "6d6c6c65"

// serialDigits are how many digits of the serial the kernel puts into the WWID.
const serialDigits = 25

// serial returns the unit serial of a volume: 32 hexadecimal digits of which the
// first 25 hold the whole id. The kernel leaves the others out of the WWID; with
// the id in there, two volumes would become one.
func serial(id mallee.VolumeID) string {
	digits := strings.TrimPrefix(string(id), "vol-")
	s := ours + strings.Repeat("0", serialDigits-len(ours)-len(digits)) + digits
	return s + strings.Repeat("0", 32-serialDigits)
}

// WWID returns the identity that initiators see of a volume, whose id must be
// valid. It is an NAA 6 designator that LIO makes of its own company id, 001405,
// and the serial; so it is known before the volume exists, no two volumes share
// it, and a person reads the volume's id at its end.
func WWID(id mallee.VolumeID) mallee.WWID {
	return mallee.WWID("3" + "6001405" + serial(id)[:serialDigits])
}
