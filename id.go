// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

// VolumeID names a volume: "vol-" and 8 or 17 lower-case hexadecimal digits.
type VolumeID string

// InstanceID names a node as EC2 clients see it: "i-" and 8 or 17 lower-case
// hexadecimal digits. A node keeps its id over restarts.
type InstanceID string

// RequestID names one call at the API. It is carried through every part that
// works for that call and stands in each of their log lines as request_id.
type RequestID string

// WWID is the identity of a LUN as multipath writes it: "3" for an NAA
// designator, then its 32 lower-case hexadecimal digits (SPC-4 §7.8.6.6, NAA 6).
type WWID string

// IQN is an iSCSI qualified name, of a target or an initiator (RFC 7143 §4.2.7.4).
type IQN string

var (
	volumeIDForm   = regexp.MustCompile(`^vol-([0-9a-f]{8}|[0-9a-f]{17})$`)
	instanceIDForm = regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`)
	wwidForm       = regexp.MustCompile(`^36[0-9a-f]{31}$`)
	// RFC 7143 §4.2.7.4 allows a colon and anything printable after the naming
	// authority. LIO and open-iscsi make directories of these names, so that a
	// slash or a blank must never get through.
	iqnForm       = regexp.MustCompile(`^iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9][a-z0-9.-]*(:[a-z0-9][a-z0-9.:-]*)?$`)
	partitionForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	deviceForm    = regexp.MustCompile(`^[a-zA-Z\d/]{3,10}$`)
)

// longest name that RFC 7143 §4.2.7.1 allows an iSCSI node.
const maxIQN = 223

// NewVolumeID returns an id that no other volume has: 68 random bits.
func NewVolumeID() VolumeID { return VolumeID("vol-" + randomHex(17)) }

// NewInstanceID returns an id that no other node has: 68 random bits.
func NewInstanceID() InstanceID { return InstanceID("i-" + randomHex(17)) }

// NewRequestID returns an id in the form that EC2 gives its requests, a random
// UUID (RFC 9562 §5.4).
func NewRequestID() RequestID {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return RequestID(strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"))
}

// Valid reports whether id has the form of a volume id.
func (id VolumeID) Valid() bool { return volumeIDForm.MatchString(string(id)) }

// Valid reports whether id has the form of an instance id.
func (id InstanceID) Valid() bool { return instanceIDForm.MatchString(string(id)) }

// Valid reports whether w is an NAA 6 identity in multipath's spelling.
func (w WWID) Valid() bool { return wwidForm.MatchString(string(w)) }

// Valid reports whether q is an iqn name in normal form (lower case, RFC 7143
// §4.2.7.2) that is safe as the name of a directory.
func (q IQN) Valid() bool { return len(q) <= maxIQN && iqnForm.MatchString(string(q)) }

// ValidPartition reports whether name can name a partition: a letter, then up to
// 62 letters, digits, '_' and '-'. A dot would make property names ambiguous.
func ValidPartition(name string) bool { return partitionForm.MatchString(name) }

// ValidDevice reports whether name is what AttachVolume accepts as the device a
// guest shall see, "/dev/sdf" or "vdb" for example: the rule of the original.
func ValidDevice(name string) bool { return deviceForm.MatchString(name) }

func randomHex(digits int) string {
	b := make([]byte, (digits+1)/2)
	rand.Read(b)
	return hex.EncodeToString(b)[:digits]
}
