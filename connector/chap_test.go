// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

const secret = "OpenSesame-0123456789"

func chap() CHAP { return CHAP{Username: "nc1", Password: secret} }

func TestASecretIsNeverPrinted(t *testing.T) {
	v := vol()
	v.CHAP = chap()
	for _, value := range []any{v.CHAP, &v.CHAP, v, &v, []Volume{v}, map[string]CHAP{"a": v.CHAP}, fmt.Errorf("%v", v.CHAP)} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", value)
		for _, form := range []string{secret, fmt.Sprintf("%x", secret)} {
			if strings.Contains(out.String(), form) {
				t.Errorf("%T shows the secret:\n%s", value, out.String())
			}
		}
	}
	if got := fmt.Sprint(chap()); got != "nc1" {
		t.Errorf("printed as %q, want the user name", got)
	}
}

// record returns the node record of vol's portal.
func (m *machine) record() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, "nodes", target, "10.107.1.200,3260,1", openiscsi.DefaultIface))
	return string(text)
}

// iscsiadm makes each login end with that code from now on, and note its
// arguments and environment in the file "seen".
func (m *machine) iscsiadm(exit int) {
	script := fmt.Sprintf("#!/bin/sh\ncd %s\necho \"$@\" >>seen\nenv >>seen\necho 'iscsiadm: details' >&2\nexit %d\n", m.dir, exit)
	m.write("iscsiadm", script)
	if err := os.Chmod(filepath.Join(m.dir, "iscsiadm"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func TestALoginUsesTheVolumesSecret(t *testing.T) {
	m := newMachine(t)
	var log syncBuffer
	m.log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	iscsi(m.Connector).Run.Log = m.log
	m.iscsiadm(19)
	v := vol()
	v.CHAP = chap()
	status := m.repair(v)
	if got := status.Paths[0]; got.State != PathMissing || !strings.Contains(got.Reason, "the SAN refuses this node's CHAP secret") {
		t.Errorf("path %+v", got)
	}
	for _, line := range []string{"authmethod = CHAP\n", "username = nc1\n", "password = " + secret + "\n"} {
		if !strings.Contains(m.record(), "node.session.auth."+line) {
			t.Errorf("no %q in the record:\n%s", line, m.record())
		}
	}
	seen, err := os.ReadFile(filepath.Join(m.dir, "seen"))
	if err != nil || !strings.Contains(string(seen), "--login") {
		t.Fatalf("no login was tried: %v", err)
	}
	shown := string(seen) + log.String() + fmt.Sprintf("%+v", status) + fmt.Sprint(status.incomplete())
	if strings.Contains(shown, secret) {
		t.Errorf("the secret shows:\n%s", shown)
	}
}

// Who has just got the right secret does not wait for the pause that the wrong
// one has earned.
func TestANewSecretIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, j := newConnector(t) // each login fails at once
		p := portal("10.107.1.200:3260")
		for range 60 {
			logInTo(t.Context(), c, p, CHAP{Username: "nc1", Password: "of yesterday"})
			synctest.Wait()
			time.Sleep(time.Second)
		}
		before := len(j.when["login failed"])
		logInTo(t.Context(), c, p, chap())
		synctest.Wait()
		if got := len(j.when["login failed"]) - before; got != 1 {
			t.Errorf("%d logins with the new secret, want 1", got)
		}
		logInTo(t.Context(), c, p, chap())
		synctest.Wait()
		if got := len(j.when["login failed"]) - before; got != 1 {
			t.Errorf("%d logins with the new secret, want no more than the pauses allow", got)
		}
	})
}

func TestARefusedSecretBacksOff(t *testing.T) {
	c, _ := newConnector(t, 19)
	p := portal("10.107.1.200:3260")
	for range 20 {
		changed := c.Changed(wwid)
		c.mu.Lock()
		var pause time.Duration
		if l := c.logins[p]; l != nil {
			pause, l.next = l.pause, time.Time{} // the test does not wait
		}
		c.mu.Unlock()
		if pause == lastRetry {
			return
		}
		logInTo(t.Context(), c, p, chap())
		<-changed
	}
	t.Error("the pause between two logins does not grow")
}

func TestASecretThatCannotBeWrittenIsRefused(t *testing.T) {
	m := newMachine(t)
	m.iscsiadm(0)
	v := vol()
	v.CHAP = CHAP{Username: "nc1", Password: secret + "\nnode.startup = automatic"}
	status := m.repair(v)
	if m.record() != "" {
		t.Error("a record was written")
	}
	if got := status.Paths[0]; got.State != PathMissing || !strings.Contains(got.Reason, "CHAP") || strings.Contains(got.Reason, secret) {
		t.Errorf("path %+v", got)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "seen")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a login was tried: %v", err)
	}
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// iscsid keeps the secret of a session's first login, and tries it for ever.
func TestALostSessionOfAnotherSecretIsLoggedInAnew(t *testing.T) {
	for name, test := range map[string]struct {
		state, username, password string
		anew                      bool
	}{
		"another secret":              {"FAILED", "nc1", "of yesterday", true},
		"no secret":                   {"FREE", "(null)", "(null)", true},
		"this secret":                 {"FAILED", "nc1", secret, false},
		"another secret, not lost":    {"LOGGED_IN", "nc1", "of yesterday", false},
		"no secret yet, not lost":     {"LOGGED_IN", "(null)", "(null)", false},
		"it cannot be read, and lost": {"FAILED", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.iscsiadm(0)
			m.session(test.state)
			m.say(mapOf(wwid, "dm-0", "sdb"))
			const session = "devices/platform/host2/session1/iscsi_session/session1/"
			if test.username == "" {
				m.write(session+"username/is a directory", "")
			} else {
				m.write(session+"username", test.username)
				m.write(session+"password", test.password)
			}
			v := vol()
			v.CHAP = chap()
			status := m.repair(v)
			seen, _ := os.ReadFile(filepath.Join(m.dir, "seen"))
			logout, login := strings.Index(string(seen), "-m session -r 1 -u"), strings.Index(string(seen), "--login")
			if anew := logout >= 0 && login > logout && m.deleted("sdb"); anew != test.anew {
				t.Errorf("logged out and in again: %t, want %t; iscsiadm was called with\n%s", anew, test.anew, seen)
			}
			if !test.anew && len(seen) > 0 {
				t.Errorf("iscsiadm was called with\n%s", seen)
			}
			if reason := status.Paths[0].Reason; test.anew != strings.Contains(reason, "had another CHAP secret") || strings.Contains(reason, secret) {
				t.Errorf("reason %q", reason)
			}
		})
	}
}
