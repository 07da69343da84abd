// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/lvm"
)

// lookInterval is how often the pool is looked at when nobody asks. It costs one
// short run of lvs. At 1 GB/s a pool of 1 TiB fills by one percent in that time.
const lookInterval = 10 * time.Second

// room is what a pool can run out of.
type room struct {
	name       string
	size, free uint64
	alarm      int    // percentage above which its admin is told
	extend     string // the command that helps
}

// percent returns how much of the room is used. One of unknown size is empty.
func (r room) percent() float64 {
	if r.size == 0 {
		return 0
	}
	return 100 * float64(r.size-min(r.size, r.free)) / float64(r.size)
}

// rooms returns what the pool can run out of. Without room for data it fails writes
// of new blocks; without room for metadata it goes read-only as a whole and needs
// repair.
func (s *Server) rooms(c lvm.Contents) []room {
	return []room{
		{"data", c.SizeBytes, c.FreeBytes, s.dataAlarm, "lvextend --size +10G " + s.pool},
		{"metadata", c.MetadataSizeBytes, c.MetadataFreeBytes, s.metadataAlarm, "lvextend --poolmetadatasize +1G " + s.pool},
	}
}

// alarm is something that an admin must see to.
type alarm struct{ about, text string }

func (s *Server) alarms(c lvm.Contents) []alarm {
	var all []alarm
	for _, r := range s.rooms(c) {
		if p := r.percent(); p > float64(r.alarm) {
			all = append(all, alarm{r.name, fmt.Sprintf(
				"storage processor %s: pool %s is %.0f %% full of %s: extend it, as with %q; vgextend adds a disk to its volume group",
				s.name, s.pool, p, r.name, r.extend)})
		}
	}
	// A pool out of data is told above, and is well again with more room.
	if c.Health != "" && c.Health != "out_of_data" {
		all = append(all, alarm{"health", fmt.Sprintf(
			"storage processor %s: pool %s is not well, lvm calls it %q: end the use of its volumes, then %q and %q",
			s.name, s.pool, c.Health, "lvchange --activate n "+s.pool, "lvconvert --repair "+s.pool)})
	}
	return all
}

// told remembers of what an admin was told, so that it is said once and not at each
// look. The zero value is ready.
type told struct {
	mu    sync.Mutex
	about map[string]bool
}

// compare takes over what there is to be told of, and returns what of it is new and
// what is over.
func (t *told) compare(all []alarm) (isNew []alarm, over []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := map[string]bool{}
	for _, a := range all {
		now[a.about] = true
		if !t.about[a.about] {
			isNew = append(isNew, a)
		}
	}
	for about := range t.about {
		if !now[about] {
			over = append(over, about)
		}
	}
	t.about = now
	return isNew, over
}

// contents looks at the pool, and tells its admin what must be seen to.
func (s *Server) contents(ctx context.Context) (lvm.Contents, error) {
	c, err := s.volumes.Contents(ctx)
	if err != nil {
		return c, err
	}
	isNew, over := s.told.compare(s.alarms(c))
	for _, a := range isNew {
		s.log.WarnContext(ctx, "pool must be seen to", "about", a.about, "alarm", a.text)
	}
	for _, about := range over {
		s.log.InfoContext(ctx, "pool is well again", "about", about)
	}
	return c, nil
}

// Watch looks at the pool every few seconds until ctx ends, and returns nil. A pool
// fills up also while nobody asks.
func (s *Server) Watch(ctx context.Context) error {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		_, err := s.contents(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			s.logFailure(ctx, s.log, "pool cannot be looked at", err)
		}
		failed = err != nil
	}
}
