// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

const target = "iqn.2026-11.io.mallee:san"

func portal(addr string) openiscsi.Portal {
	return openiscsi.Portal{Target: target, Addr: netip.MustParseAddrPort(addr), TPGT: 1, Iface: openiscsi.DefaultIface}
}

// journal is a log handler that keeps when each message came.
type journal struct {
	slog.Handler
	mu   sync.Mutex
	when map[string][]time.Time
}

func newJournal() *journal {
	return &journal{Handler: slog.DiscardHandler, when: map[string][]time.Time{}}
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.when[r.Message] = append(j.when[r.Message], r.Time)
	return nil
}

// pauses returns the time between each two of a message, in seconds.
func (j *journal) pauses(message string) []int {
	j.mu.Lock()
	defer j.mu.Unlock()
	var pauses []int
	for i, at := range j.when[message][1:] {
		pauses = append(pauses, int(at.Sub(j.when[message][i]).Round(time.Second)/time.Second))
	}
	return pauses
}

// newConnector returns a Connector with a database and an iscsiadm of its own,
// that ends each login with that code, and the journal of its log. Without a
// code there is no iscsiadm.
func newConnector(t *testing.T, exit ...int) (*Connector, *journal) {
	t.Helper()
	dir := t.TempDir()
	if len(exit) > 0 {
		script := fmt.Sprintf("#!/bin/sh\nexit %d\n", exit[0])
		if err := os.WriteFile(filepath.Join(dir, "iscsiadm"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	j := newJournal()
	c := New(Options{Log: slog.New(j), Directory: filepath.Join(dir, "mallee")})
	in := iscsi(c)
	in.Run = command.Runner{Path: []string{dir}}
	in.Sys, in.Etc, in.Lock = filepath.Join(dir, "sys"), dir, filepath.Join(dir, "lock")
	tree := &playedDisks{Devices: block.Devices{Sys: in.Sys, Dev: filepath.Join(dir, "dev")}}
	tree.inquire = tree.Devices.WWID
	c.disks, c.devices, c.maps, c.daemon = tree, tree, &playedMaps{}, &multipath.Client{}
	t.Cleanup(func() { settle(c) }) // before its files go
	return c, j
}

// logInTo starts a login if one is due, and returns why there is no session yet.
func logInTo(ctx context.Context, c *Connector, p openiscsi.Portal, chap CHAP) string {
	why, due := c.login(p, chap, nil)
	if due != nil {
		c.logIn(ctx, []attempt{*due}, chap)
	}
	return why
}

// settle waits until nothing runs that c has started.
func settle(c *Connector) {
	c.tidies.Wait()
	for {
		changed := c.Changed(wwid)
		running := false
		c.mu.Lock()
		for _, l := range c.logins {
			running = running || l.cancel != nil
		}
		c.mu.Unlock()
		if !running {
			break
		}
		<-changed
	}
	for _, state := range c.volumes {
		for {
			ended := state.probes.ended.Wait()
			state.probes.mu.Lock()
			running := state.probes.running
			state.probes.mu.Unlock()
			if running == 0 {
				break
			}
			<-ended
		}
	}
}

func TestFailedLoginsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, j := newConnector(t) // each login fails at once
		p := portal("10.107.1.200:3260")
		if got := logInTo(t.Context(), c, p, CHAP{}); got != "logging in" {
			t.Errorf("the first time a path is %q", got)
		}
		for range 120 * 10 {
			synctest.Wait()
			time.Sleep(100 * time.Millisecond) // as often as events make Repair ask
			if got := logInTo(t.Context(), c, p, CHAP{}); !strings.HasPrefix(got, "login to 10.107.1.200:3260: ") {
				t.Fatalf("after a failure a path is %q", got)
			}
		}
		synctest.Wait()
		if got, want := j.pauses("login failed"), []int{1, 2, 4, 8, 16, 30, 30}; !slices.Equal(got, want) {
			t.Errorf("pauses of %v s, want %v", got, want)
		}
	})
}

func TestLoginsToOnePortalRunOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, j := newConnector(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { logInTo(t.Context(), c, portal("10.107.1.200:3260"), CHAP{}) })
		}
		wg.Wait()
		logInTo(t.Context(), c, portal("10.107.1.201:3260"), CHAP{})
		time.Sleep(firstRetry / 2) // the one may wait for the other's lock on the database
		synctest.Wait()
		if got := len(j.when["login failed"]); got != 2 {
			t.Errorf("%d logins to two portals, want one to each", got)
		}
	})
}

func TestALoginWakesWhoWaits(t *testing.T) {
	for exit, message := range map[int]string{0: "logged in", 15: "login failed", 8: "login failed"} {
		c, j := newConnector(t, exit)
		changed := c.Changed(wwid)
		logInTo(t.Context(), c, portal("10.107.1.200:3260"), CHAP{})
		<-changed
		if len(j.when[message]) != 1 {
			t.Errorf("iscsiadm ends with %d: log %v, want %q", exit, j.when, message)
		}
	}
}

// A login belongs to the volume, not to the call that happened to start it.
func TestALoginOutlivesItsCaller(t *testing.T) {
	c, j := newConnector(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	changed := c.Changed(wwid)
	logInTo(ctx, c, portal("10.107.1.200:3260"), CHAP{})
	cancel()
	<-changed
	if len(j.when["logged in"]) != 1 {
		t.Errorf("log %v", j.when)
	}
}

func TestLinkFollowsTheMap(t *testing.T) {
	dir := t.TempDir()
	c := New(Options{Directory: filepath.Join(dir, "mallee")})
	v := Volume{Name: "vol-1a2b3c4d"}
	if c.linked(v, "dm-0") {
		t.Error("linked before it was made")
	}
	for _, device := range []string{"dm-0", "dm-0", "dm-3"} { // the same again, and another after a restart
		if err := c.link(v, device); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.Readlink(filepath.Join(dir, "mallee", v.Name)); got != "../"+device || !c.linked(v, device) {
			t.Errorf("link to %q, want ../%s", got, device)
		}
	}
	if files, _ := os.ReadDir(filepath.Join(dir, "mallee")); len(files) != 1 {
		t.Errorf("left in the directory: %v", files)
	}
	for range 2 {
		if err := c.unlink(v); err != nil {
			t.Fatal(err)
		}
	}
	if c.linked(v, "dm-3") {
		t.Error("linked after it was removed")
	}
}
