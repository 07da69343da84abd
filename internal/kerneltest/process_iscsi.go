// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// Name returns the machine's iSCSI name.
func (p *Process) Name() (string, error) { return "iqn.1993-08.org.debian:01:node1", nil }

// Sessions returns our sessions.
func (p *Process) Sessions() (list []openiscsi.Session, err error) {
	err = p.now(func() error {
		for _, s := range p.ours() {
			list = append(list, openiscsi.Session{ID: s.id, Host: s.id + 10, Portal: s.portal, State: s.state})
		}
		return nil
	})
	return list, err
}

// States returns the states of the sessions, by ID.
func (p *Process) States() (map[int]string, error) {
	sessions, err := p.Sessions()
	states := map[int]string{}
	for _, s := range sessions {
		states[s.ID] = s.State
	}
	return states, err
}

// Secret returns what a session proves itself with.
func (p *Process) Secret(of openiscsi.Session) (secret openiscsi.Secret, err error) {
	err = p.now(func() error {
		if s := p.sessions[of.ID]; s != nil {
			secret = s.secret
		}
		return nil
	})
	return secret, err
}

// FindDevice knows every network device.
func (p *Process) FindDevice(string) error { return nil }

// Login logs in to portals, which must have records, all at once.
func (p *Process) Login(ctx context.Context, portals []openiscsi.Portal, done func(openiscsi.Portal, error)) {
	type outcome struct {
		portal openiscsi.Portal
		err    error
	}
	outcomes := make(chan outcome, len(portals))
	missing := map[openiscsi.Portal]bool{}
	err := p.now(func() error {
		for _, to := range portals {
			missing[to] = true
			secret, ok := p.records[to]
			if !ok {
				outcomes <- outcome{to, fmt.Errorf("login to %s: no record found", to)}
				continue
			}
			p.login(to, secret, func(err error) { outcomes <- outcome{to, err} })
		}
		return nil
	})
	for err == nil && len(missing) > 0 {
		select {
		case o := <-outcomes:
			delete(missing, o.portal)
			done(o.portal, o.err)
		case <-ctx.Done():
			err = ctx.Err()
		case <-p.dead:
			err = ErrKilled
		}
	}
	for _, to := range portals {
		if missing[to] {
			done(to, err)
		}
	}
}

// Logout ends sessions, all at once.
func (p *Process) Logout(ctx context.Context, of []openiscsi.Session) []error {
	errs := make([]error, len(of))
	var wg sync.WaitGroup
	for i, s := range of {
		wg.Go(func() { errs[i] = p.logout(ctx, s) })
	}
	wg.Wait()
	return errs
}

// logout ends a session. It waits for an answer of the target for as long as a
// logout may take.
func (p *Process) logout(ctx context.Context, of openiscsi.Session) error {
	lo, hi := 10*time.Millisecond, 300*time.Millisecond
	if p.lost(of.ID) {
		lo, hi = time.Second, 10*time.Second
		p.mu.Lock()
		p.sessions[of.ID].leaving = true
		p.mu.Unlock()
	}
	return p.do(ctx, "logout "+of.Portal.Iface+of.Portal.String(), lo, hi, func() error {
		s := p.sessions[of.ID]
		if s == nil {
			return nil
		}
		if !s.ours() {
			p.violation("logged out of session %d, which is somebody else's", s.id)
		}
		for _, d := range s.disks {
			if d.holder == nil || !p.alive(s) && d.holder.wwid() != "" {
				continue // found at the last moment, or ended on purpose
			}
			p.violation("logged out of session %d to %s while it carries %s", s.id, s.portal, d.name)
		}
		p.note("session %d to %s is logged out", s.id, s.portal)
		p.endSession(s)
		return nil
	})
}

func (p *Process) lost(id int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions[id]
	return s != nil && !p.alive(s)
}

// PrepareIface makes the iface record of sessions that are bound to no device.
func (p *Process) PrepareIface(context.Context) error {
	return p.now(func() error {
		p.ifaces[openiscsi.DefaultIface] = true
		return nil
	})
}

// Recorded returns what there are records of.
func (p *Process) Recorded() (list []openiscsi.Portal, err error) {
	err = p.now(func() error {
		list = slices.SortedFunc(maps.Keys(p.records), func(a, b openiscsi.Portal) int {
			return cmp.Or(a.Addr.Compare(b.Addr), strings.Compare(a.Iface, b.Iface))
		})
		return nil
	})
	return list, err
}

// WriteRecords writes records, one after the other: a process that is killed may
// have written some.
func (p *Process) WriteRecords(ctx context.Context, portals []openiscsi.Portal, _ openiscsi.Settings, secret openiscsi.Secret) error {
	for _, to := range portals {
		if err := p.do(ctx, "record "+to.Iface+to.String(), time.Millisecond, 10*time.Millisecond, func() error {
			p.records[to], p.ifaces[to.Iface] = secret, true
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// RemoveRecord removes the record of a portal, whatever its group, and its iface's
// if that was the last.
func (p *Process) RemoveRecord(ctx context.Context, of openiscsi.Portal) error {
	return p.do(ctx, "forget "+of.Iface+of.String(), time.Millisecond, 10*time.Millisecond, func() error {
		maps.DeleteFunc(p.records, func(r openiscsi.Portal, _ openiscsi.Secret) bool {
			return r.Target == of.Target && r.Addr == of.Addr && r.Iface == of.Iface
		})
		p.removeIfaces()
		return nil
	})
}

// RemoveUnusedIfaces removes the iface records of devices that nothing uses.
func (p *Process) RemoveUnusedIfaces(context.Context) error {
	return p.now(func() error { p.removeIfaces(); return nil })
}

func (p *Process) removeIfaces() {
	used := map[string]bool{openiscsi.DefaultIface: true}
	for r := range p.records {
		used[r.Iface] = true
	}
	for _, s := range p.sessions {
		used[s.portal.Iface] = true
	}
	maps.DeleteFunc(p.ifaces, func(name string, _ bool) bool { return !used[name] })
}
