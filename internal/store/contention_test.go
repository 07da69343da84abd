// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"sync"
	"testing"

	"github.com/mallee-io/mallee/internal/store"
)

// Each attach and detach rewrites its node's record, so that the volumes of one
// node are attached over one record, and all at once after an outage.
func TestManyWritersOfOneRecordAllGetThere(t *testing.T) {
	s := open(t, tempDir(t))
	defer s.Close()
	type counter struct{ N int }
	counters := store.NewTable[counter]("counters", 1)
	const writers = 200
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			if err := s.Update(t.Context(), func(tx *store.Tx) error {
				c, _, err := counters.Get(tx, "one")
				if err != nil {
					return err
				}
				c.N++
				return counters.Put(tx, "one", c)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if c, _, err := counters.Find(t.Context(), s, "one"); err != nil || c.N != writers {
		t.Errorf("%d writers have counted to %d, %v", writers, c.N, err)
	}
}
