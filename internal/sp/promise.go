// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lvm"
)

// refuseAbove is the percentage of a pool's room above which no volume is made or
// grown: what is left belongs to the volumes that are there.
const refuseAbove = 95

// promising is the turn for what is promised of the pool. It has no volume's id.
const promising = mallee.VolumeID("")

// promised returns the sizes of all volumes.
func promised(c lvm.Contents) (sum uint64) {
	for _, v := range c.Volumes {
		sum += v.SizeBytes
	}
	return sum
}

// promiseLimit returns what may be promised to volumes.
func (s *Server) promiseLimit(c lvm.Contents) uint64 {
	return uint64(float64(c.SizeBytes) * s.overcommit)
}

// promise returns nil if a volume may have size bytes, which are more bytes more
// than it has, and the status for the caller if not.
func (s *Server) promise(c lvm.Contents, size, more uint64) error {
	// Volumes are thin, so that their sum may exceed the pool; a single one that
	// does could never be filled.
	if size > c.SizeBytes {
		return status.Errorf(codes.ResourceExhausted, "%s are more than the pool's %s", gib(size), gib(c.SizeBytes))
	}
	for _, r := range s.rooms(c) {
		if p := r.percent(); p > refuseAbove {
			return status.Errorf(codes.ResourceExhausted, "the pool is %.1f %% full of %s, and above %d %% no volume is made or grown", p, r.name, refuseAbove)
		}
	}
	if sum, limit := promised(c)+more, s.promiseLimit(c); sum > limit {
		return status.Errorf(codes.ResourceExhausted, "volumes would be promised %s; the limit is %s, %g times the pool's %s",
			gib(sum), gib(limit), s.overcommit, gib(c.SizeBytes))
	}
	return nil
}

// gib writes a number of bytes for people.
func gib(bytes uint64) string {
	return strconv.FormatFloat(float64(bytes)/mallee.GiB, 'f', 1, 64) + " GiB"
}
