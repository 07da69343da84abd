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

// filler stands before the 8 digits of a short id, in place of the other 9 of a
// long one. The 25 digits are ours and 17 of the id, so that there is no room to
// mark a short id as one: a long id that begins with the filler is not taken.
const filler = "fffffffff"

// ambiguous reports whether an id, which must be valid, is a long one that would
// have the serial of a short one. A random id is with a chance of 1 in 2^36.
func ambiguous(id mallee.VolumeID) bool {
	digits := strings.TrimPrefix(string(id), "vol-")
	return len(digits) > 8 && strings.HasPrefix(digits, filler)
}

// serial returns the unit serial of a volume: 32 hexadecimal digits of which the
// first 25 hold the whole id. The kernel leaves the others out of the WWID; with
// the id in there, two volumes would become one.
func serial(id mallee.VolumeID) string {
	digits := strings.TrimPrefix(string(id), "vol-")
	s := ours + filler[:serialDigits-len(ours)-len(digits)] + digits
	return s + strings.Repeat("0", 32-serialDigits)
}

// WWID returns the identity that initiators see of a volume, whose id must be
// valid. It is an NAA 6 designator that LIO makes of its own company id, 001405,
// and the serial; so it is known before the volume exists, no two volumes share
// it, since CreateVolume refuses an ambiguous id, and a person reads the volume's
// id at its end.
func WWID(id mallee.VolumeID) mallee.WWID {
	return mallee.WWID("3" + "6001405" + serial(id)[:serialDigits])
}
