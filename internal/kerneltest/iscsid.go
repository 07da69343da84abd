// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// States of a session (drivers/scsi/scsi_transport_iscsi.c).
const (
	free     = "FREE"
	loggedIn = "LOGGED_IN"
	failed   = "FAILED"
)

// session is one iSCSI session; its SCSI host has its number and ten.
type session struct {
	id     int
	portal openiscsi.Portal
	state  string
	secret openiscsi.Secret // of its login, for as long as it lives (usr/initiator.c)
	disks  []*disk
	doubt  bool // the target has a unit attention for it
	// Who is told to log out does not log in again (usr/initiator.c, session_logout_task).
	leaving bool
	gone    bool
	back    time.Time // when it had been lost last, and was there again
}

// name is the same in every run of a seed, which the number need not be.
func (s *session) name() string { return s.portal.Iface + s.portal.String() }

func (s *session) ours() bool { return strings.HasPrefix(s.portal.Iface, openiscsi.Prefix) }

// ours returns our sessions in the order of their numbers.
func (k *Kernel) ours() []*session {
	return slices.DeleteFunc(k.all(), func(s *session) bool { return !s.ours() })
}

func (k *Kernel) all() []*session { return slices.SortedFunc(maps.Values(k.sessions), byNumber) }

func (k *Kernel) sessionsTo(addr netip.AddrPort) []*session {
	return slices.DeleteFunc(k.all(), func(s *session) bool { return s.portal.Addr != addr })
}

func (k *Kernel) alive(s *session) bool {
	return !s.gone && s.state == loggedIn && !k.portals[s.portal.Addr].dead
}

// find returns the session to p, whatever its portal group.
func (k *Kernel) find(p openiscsi.Portal) *session {
	for _, s := range k.all() {
		if s.portal.Target == p.Target && s.portal.Addr == p.Addr && s.portal.Iface == p.Iface {
			return s
		}
	}
	return nil
}

// login has iscsid log in to p, and tells the outcome once. iscsid goes on when
// whoever asked is gone.
func (k *Kernel) login(p openiscsi.Portal, secret openiscsi.Secret, outcome func(error)) {
	if k.find(p) != nil {
		k.after("login "+p.Iface+p.String(), 5*time.Millisecond, 30*time.Millisecond, func() { outcome(nil) }) // "already present"
		return
	}
	at := k.portals[p.Addr]
	if at == nil || at.dead {
		err, lo, hi := openiscsi.ErrTimeout, 10*time.Second, 11*time.Second // login_timeout of our records
		if at != nil && at.refuses {
			err, lo, hi = openiscsi.ErrUnreachable, 10*time.Millisecond, 2*time.Second
		}
		k.after("login "+p.Iface+p.String(), lo, hi, func() { outcome(fmt.Errorf("login to %s: %w", p, err)) })
		return
	}
	// The session is there before its login has ended (usr/initiator.c, session_conn_poll).
	k.lastID++
	s := &session{id: k.lastID, portal: p, state: free, secret: secret}
	k.sessions[s.id] = s
	k.uevent(block.Uevent{Subsystem: "iscsi_session"})
	k.after("login "+p.Iface+p.String(), 20*time.Millisecond, 600*time.Millisecond, func() {
		switch {
		case k.sessions[s.id] == nil:
			outcome(fmt.Errorf("login to %s: %w", p, openiscsi.ErrTimeout))
		case k.portals[p.Addr].dead:
			k.endSession(s)
			outcome(fmt.Errorf("login to %s: %w", p, openiscsi.ErrTimeout))
		case s.leaving:
			outcome(fmt.Errorf("login to %s: %w", p, openiscsi.ErrTimeout))
		case secret != k.secret:
			k.endSession(s)
			outcome(fmt.Errorf("login to %s: %w", p, openiscsi.ErrRefused))
		default:
			s.state = loggedIn
			k.note("session %d to %s is up (%s)", s.id, p, p.Iface)
			outcome(nil)
		}
	})
}

// lose makes a session fail, and has iscsid try to bring it back, for ever
// (usr/initiator.c, session_conn_reopen).
func (k *Kernel) lose(s *session) {
	if s.gone || s.state != loggedIn || !k.portals[s.portal.Addr].dead {
		return
	}
	s.state = failed
	k.note("session %d to %s is lost", s.id, s.portal)
	k.uevent(block.Uevent{Subsystem: "iscsi_connection"})
	// recovery_tmo of our records is 5 s: the disks' I/O fails then (TestLabCloud).
	k.after("recovery of "+s.name(), 5*time.Second, 5*time.Second, func() {
		if s.state == failed && !s.gone {
			for _, d := range s.disks {
				k.failPath(d)
			}
		}
	})
	k.comeBack(s)
}

func (k *Kernel) comeBack(s *session) {
	k.after("return of "+s.name(), time.Second, 4*time.Second, func() {
		switch {
		case s.gone || s.leaving || s.state != failed:
		case k.portals[s.portal.Addr].dead, s.secret != k.secret:
			k.comeBack(s)
		default:
			s.state, s.back = loggedIn, time.Now()
			k.note("session %d to %s is back", s.id, s.portal)
			k.uevent(block.Uevent{Subsystem: "iscsi_connection"})
		}
	})
}

// endSession removes a session and what it carries.
func (k *Kernel) endSession(s *session) {
	for _, d := range slices.Clone(s.disks) {
		k.removeDisk(d)
	}
	s.gone = true
	delete(k.sessions, s.id)
	k.uevent(block.Uevent{Subsystem: "iscsi_session"})
}
