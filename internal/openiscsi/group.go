// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"sync"
)

// group is what iscsiadm can log in to, or out of, as a whole: what a target has
// through one iface record.
type group struct{ target, iface string }

// exchanges keeps the logins to a group apart from a logout from the whole of it,
// which would end a session that came up in between. The zero value is ready for
// use.
type exchanges struct {
	mu      sync.Mutex
	logins  map[group]int           // that run
	logouts map[group]chan struct{} // from the whole; closed when it has ended
}

// beginLogin waits for a logout from the whole of g to end.
func (e *exchanges) beginLogin(ctx context.Context, g group) error {
	for {
		e.mu.Lock()
		logout := e.logouts[g]
		if logout == nil {
			if e.logins == nil {
				e.logins = map[group]int{}
			}
			e.logins[g]++
			e.mu.Unlock()
			return nil
		}
		e.mu.Unlock()
		select {
		case <-logout:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *exchanges) endLogin(g group) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.logins[g]--; e.logins[g] == 0 {
		delete(e.logins, g)
	}
}

// beginLogout reports whether a logout from the whole of g may begin now. It does
// not wait: a login to a dead portal takes long, and each session can be ended
// alone.
func (e *exchanges) beginLogout(g group) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.logins[g] > 0 || e.logouts[g] != nil {
		return false
	}
	if e.logouts == nil {
		e.logouts = map[group]chan struct{}{}
	}
	e.logouts[g] = make(chan struct{})
	return true
}

func (e *exchanges) endLogout(g group) {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.logouts[g])
	delete(e.logouts, g)
}
