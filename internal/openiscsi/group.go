// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"sync"
	"time"
)

// group is what iscsiadm can log in to, or out of, as a whole: what a target has
// through one iface record.
type group struct{ target, iface string }

// logoutPatience is how long a login waits for a logout from the whole of its group
// before it has that ended. Only one from a dead portal takes as long: what iscsid
// was asked for goes on without the process, and the rest is ended one by one.
const logoutPatience = 2 * time.Second

// exchanges keeps the logins to a group apart from a logout from the whole of it,
// which would end a session that came up in between. The zero value is ready for
// use.
type exchanges struct {
	mu      sync.Mutex
	logins  map[group]int // that run
	logouts map[group]wholeLogout
}

// wholeLogout is a logout from all sessions of a group.
type wholeLogout struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
}

// beginLogin waits until no logout from the whole of g runs.
func (e *exchanges) beginLogin(ctx context.Context, g group) error {
	for {
		e.mu.Lock()
		logout, runs := e.logouts[g]
		if !runs {
			if e.logins == nil {
				e.logins = map[group]int{}
			}
			e.logins[g]++
			e.mu.Unlock()
			return nil
		}
		e.mu.Unlock()
		select {
		case <-logout.done:
		case <-time.After(logoutPatience):
			logout.cancel()
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

// beginLogout reports whether a logout from the whole of g may begin now, with
// which context, and what is to be called when it has ended. It does not wait: a
// login to a dead portal takes long, and each session can be ended alone.
func (e *exchanges) beginLogout(ctx context.Context, g group) (inner context.Context, end func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, runs := e.logouts[g]; runs || e.logins[g] > 0 {
		return nil, nil, false
	}
	if e.logouts == nil {
		e.logouts = map[group]wholeLogout{}
	}
	ctx, cancel := context.WithCancel(ctx)
	logout := wholeLogout{cancel, make(chan struct{})}
	e.logouts[g] = logout
	return ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		cancel()
		close(logout.done)
		delete(e.logouts, g)
	}, true
}
