// SPDX-License-Identifier: Apache-2.0

package mallee

// Partition is a part of the cloud with a SAN of its own: EC2's availability zone.
type Partition struct {
	Name string
	// Live is true while its storage controller is connected.
	Live bool
	// Pool is nil until the storage controller has told of it.
	Pool *Pool
}

// Pool is what the volumes of a partition are made of, thinly: what is promised
// may be more than there is.
type Pool struct {
	SizeBytes         uint64
	FreeBytes         uint64
	PromisedBytes     uint64 // the sizes of all volumes
	PromiseLimitBytes uint64 // what may be promised
	MetadataSizeBytes uint64
	MetadataFreeBytes uint64
	// Alarms tell a person what must be seen to; empty when all is well.
	Alarms []string
}

// Full reports whether the pool has no room for a block that was never written.
// A pool that nobody has told of, nil, is not full.
func (p *Pool) Full() bool { return p != nil && p.SizeBytes > 0 && p.FreeBytes == 0 }
