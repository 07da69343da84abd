// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"sync"

	"github.com/mallee-io/mallee/internal/lvm"
)

// warnAbove is the share of a pool's room above which its admin is warned. A pool
// without room for data fails writes; one without room for metadata goes
// read-only as a whole and needs repair.
const warnAbove = 0.8

// fullness remembers what was warned of, so that it is said once and not at each
// look. The zero value is ready.
type fullness struct {
	mu     sync.Mutex
	warned map[string]bool
}

// crossed reports whether the use of a room has come above warnAbove since the
// last call.
func (f *fullness) crossed(room string, used float64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.warned == nil {
		f.warned = map[string]bool{}
	}
	was := f.warned[room]
	f.warned[room] = used > warnAbove
	return !was && used > warnAbove
}

// contents looks at the pool, and warns if it is filling up. The storage
// controller asks all the time, so that no clock of our own is needed.
func (s *Server) contents(ctx context.Context) (lvm.Contents, error) {
	c, err := s.volumes.Contents(ctx)
	if err != nil {
		return c, err
	}
	used := map[string]float64{"metadata": c.MetadataUsed}
	if c.SizeBytes > 0 {
		used["data"] = 1 - float64(c.FreeBytes)/float64(c.SizeBytes)
	}
	for room, share := range used {
		if s.fullness.crossed(room, share) {
			s.log.WarnContext(ctx, "pool is filling up: extend it", "room", room, "used_percent", int(share*100))
		}
	}
	return c, nil
}
