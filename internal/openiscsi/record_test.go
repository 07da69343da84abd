// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

var settings = openiscsi.Settings{
	LoginTimeout: 10, NoopInterval: 2, NoopTimeout: 3, ReplacementTimeout: 5, CommandsMax: 512, QueueDepth: 64,
}

// newInitiator returns an initiator with a database of its own.
func newInitiator(t testing.TB) *openiscsi.Initiator {
	t.Helper()
	dir := t.TempDir()
	in := &openiscsi.Initiator{Etc: filepath.Join(dir, "etc"), Lock: filepath.Join(dir, "lock")}
	if err := os.Mkdir(in.Etc, 0o755); err != nil {
		t.Fatal(err)
	}
	return in
}

// files returns the files below dir, relative to it.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(dir, path)
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestWriteRecordIsWhatIscsiadmReads(t *testing.T) {
	in := newInitiator(t)
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("10.107.1.200:3260")}, settings, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}
	// Nothing else: a temporary file left behind would be one more record.
	name := "nodes/iqn.2026-11.io.mallee:san/10.107.1.200,3260,1/mallee-default"
	if got := files(t, in.Etc); !slices.Equal(got, []string{name}) {
		t.Fatalf("files %q, want %q", got, name)
	}
	file := filepath.Join(in.Etc, name)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v: a record may hold a secret", info.Mode())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := `iface.iscsi_ifacename = mallee-default
iface.transport_name = tcp
node.name = iqn.2026-11.io.mallee:san
node.tpgt = 1
node.startup = manual
node.leading_login = No
node.discovery_type = static
node.session.scan = manual
node.session.initial_login_retry_max = 1
node.session.cmds_max = 512
node.session.queue_depth = 64
node.session.nr_sessions = 1
node.session.timeo.replacement_timeout = 5
node.conn[0].address = 10.107.1.200
node.conn[0].port = 3260
node.conn[0].startup = manual
node.conn[0].timeo.login_timeout = 10
node.conn[0].timeo.logout_timeout = 10
node.conn[0].timeo.noop_out_interval = 2
node.conn[0].timeo.noop_out_timeout = 3
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	// Again, with other settings: replaced.
	changed := settings
	changed.QueueDepth = 32
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("10.107.1.200:3260")}, changed, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(file); err != nil || !strings.Contains(string(text), "queue_depth = 32\n") {
		t.Errorf("not replaced: %v\n%s", err, text)
	}
}

func TestARecordHoldsTheSecret(t *testing.T) {
	in := newInitiator(t)
	p := portal("10.107.1.200:3260")
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(in.Etc, "nodes", target, "10.107.1.200,3260,1", openiscsi.DefaultIface))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	// All that iscsid does not strip or cut, '#' and '=' too.
	secret := openiscsi.Secret{Username: "iqn.2026-11.io.mallee:nc1", Password: `a#b="c'$\d` + strings.Repeat("x", 200)}
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, secret); err != nil {
		t.Fatal(err)
	}
	want := "node.session.auth.authmethod = CHAP\n" +
		"node.session.auth.username = " + secret.Username + "\n" +
		"node.session.auth.password = " + secret.Password + "\n"
	if !strings.HasSuffix(read(), want) {
		t.Errorf("record:\n%s\nwant at its end:\n%s", read(), want)
	}
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(read(), "auth") {
		t.Errorf("without a secret the record is\n%s", read())
	}
}

func TestSecretsThatAreNoLineAreRefused(t *testing.T) {
	for name, secret := range map[string]openiscsi.Secret{
		"no user":           {Password: "OpenSesame"},
		"no password":       {Username: "nc1"},
		"a second line":     {Username: "nc1", Password: "OpenSesame\nnode.startup = automatic"},
		"a blank at an end": {Username: "nc1", Password: "OpenSesame "},
		"too long":          {Username: "nc1", Password: "OpenSesame" + strings.Repeat("x", 255)},
		"no ASCII":          {Username: "nc1", Password: "OpenSésame"},
		"a user of 2 lines": {Username: "nc1\nnode.startup = automatic", Password: "OpenSesame"},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInitiator(t)
			err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("10.107.1.200:3260")}, settings, secret)
			if err == nil || !strings.Contains(err.Error(), "CHAP") || strings.Contains(err.Error(), "OpenS") {
				t.Errorf("error %v, want one about CHAP that does not tell the password", err)
			}
			if got := files(t, in.Etc); len(got) > 0 {
				t.Errorf("files %q", got)
			}
		})
	}
}

// Nobody but root can read a secret at any time, the file under its temporary
// name included.
func TestSecretsAreNeverReadableByOthers(t *testing.T) {
	in := newInitiator(t)
	p := portal("10.107.1.200:3260")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, openiscsi.Secret{Username: "nc1", Password: "OpenSesame"}); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		err := filepath.WalkDir(in.Etc, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // a temporary file is gone by now
			}
			if info, err := d.Info(); err == nil && info.Mode() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestWhatAKilledProcessHalfWroteIsRemoved(t *testing.T) {
	in := newInitiator(t)
	if err := os.WriteFile(filepath.Join(in.Etc, ".mallee-123"), []byte("node.session.auth.password = OpenS"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := in.PrepareIface(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := files(t, in.Etc); !slices.Equal(got, []string{"ifaces/mallee-default"}) {
		t.Errorf("files %q", got)
	}
}

func TestWriteRecordOfAnIPv6Portal(t *testing.T) {
	in := newInitiator(t)
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("[2001:db8::1]:860")}, settings, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}
	name := "nodes/iqn.2026-11.io.mallee:san/2001:db8::1,860,1/mallee-default"
	text, err := os.ReadFile(filepath.Join(in.Etc, name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "node.conn[0].address = 2001:db8::1\nnode.conn[0].port = 860\n") {
		t.Errorf("record:\n%s", text)
	}
}

// Whoever reads while a record is replaced sees the old or the new one, whole.
func TestRecordsAreNeverHalfWritten(t *testing.T) {
	in := newInitiator(t)
	p := portal("10.107.1.200:3260")
	write := func() {
		if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, openiscsi.Secret{}); err != nil {
			t.Error(err)
		}
	}
	write()
	file := filepath.Join(in.Etc, "nodes", target, "10.107.1.200,3260,1", openiscsi.DefaultIface)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			write()
		}
	}()
	for {
		text, err := os.ReadFile(file)
		if err != nil || string(text) != string(whole) {
			t.Fatalf("read %q, %v", text, err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestHostilePortalsAreRefused(t *testing.T) {
	good := portal("10.107.1.200:3260")
	for _, test := range []struct {
		name   string
		change func(*openiscsi.Portal)
	}{
		{"no target", func(p *openiscsi.Portal) { p.Target = "" }},
		{"target is a path", func(p *openiscsi.Portal) { p.Target = "iqn.2026-11.io.mallee:../../../tmp/x" }},
		{"target is a pattern", func(p *openiscsi.Portal) { p.Target = "iqn.*" }},
		{"target is an option", func(p *openiscsi.Portal) { p.Target = "--logout" }},
		{"target has a second line", func(p *openiscsi.Portal) { p.Target += "\nnode.startup = automatic" }},
		{"target ends in a line feed", func(p *openiscsi.Portal) { p.Target += "\n" }},
		{"target is too long", func(p *openiscsi.Portal) { p.Target += strings.Repeat("a", 223) }},
		{"foreign iface", func(p *openiscsi.Portal) { p.Iface = "default" }},
		{"no iface", func(p *openiscsi.Portal) { p.Iface = "" }},
		{"iface is a prefix", func(p *openiscsi.Portal) { p.Iface = openiscsi.Prefix }},
		{"iface is a path", func(p *openiscsi.Portal) { p.Iface = "mallee-a/../../b" }},
		{"iface has a second line", func(p *openiscsi.Portal) { p.Iface = "mallee-a\nx = y" }},
		{"no address", func(p *openiscsi.Portal) { p.Addr = netip.AddrPort{} }},
		{"no port", func(p *openiscsi.Portal) { p.Addr = netip.AddrPortFrom(p.Addr.Addr(), 0) }},
		{"iface without its device", func(p *openiscsi.Portal) { p.Iface = "mallee-net-" }},
		{"iface of a device that cannot be", func(p *openiscsi.Portal) { p.Iface = "mallee-net-a123456789012345" }},
		{"zone is a path", func(p *openiscsi.Portal) {
			p.Addr = netip.AddrPortFrom(netip.MustParseAddr("fe80::1%../../x"), 3260)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newInitiator(t)
			p := good
			test.change(&p)
			if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, openiscsi.Secret{}); err == nil {
				t.Error("a record was written")
			}
			// The Runner would find nothing to run, but it must not come to that.
			in.Run.Path = []string{t.TempDir()}
			if err := login(t, in, p); err == nil || strings.Contains(err.Error(), "cannot run") {
				t.Errorf("login was tried: %v", err)
			}
			if err := in.RemoveRecord(t.Context(), p); err == nil {
				t.Error("a record would have been removed")
			}
			if got := files(t, in.Etc); len(got) > 0 {
				t.Errorf("files %q", got)
			}
		})
	}
}

func TestRemoveRecordLeavesAllOthers(t *testing.T) {
	in := newInitiator(t)
	gone := portal("10.107.1.2:3260")
	list := []openiscsi.Portal{gone}
	for _, change := range []func(*openiscsi.Portal){
		func(p *openiscsi.Portal) { p.TPGT = 7 }, // the same portal
		func(p *openiscsi.Portal) { p.Addr = netip.MustParseAddrPort("10.107.1.20:3260") },
		func(p *openiscsi.Portal) { p.Addr = netip.MustParseAddrPort("10.107.1.2:32601") },
		func(p *openiscsi.Portal) { p.Iface = "mallee-net-eth1" },
		func(p *openiscsi.Portal) { p.Target += "-2" },
	} {
		p := gone
		change(&p)
		list = append(list, p)
	}
	for _, p := range list {
		if err := in.WriteRecords(t.Context(), []openiscsi.Portal{p}, settings, openiscsi.Secret{}); err != nil {
			t.Fatal(err)
		}
	}
	theirs := filepath.Join(in.Etc, "nodes", target, "10.107.1.2,3260,1", "default")
	if err := os.WriteFile(theirs, []byte("node.name = "+target+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nothing of it is there the second time
		if err := in.RemoveRecord(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"ifaces/mallee-net-eth1",
			"nodes/" + target + "-2/10.107.1.2,3260,1/mallee-default",
			"nodes/" + target + "/10.107.1.2,3260,1/default",
			"nodes/" + target + "/10.107.1.2,3260,1/mallee-net-eth1",
			"nodes/" + target + "/10.107.1.2,32601,1/mallee-default",
			"nodes/" + target + "/10.107.1.20,3260,1/mallee-default",
		}
		got := files(t, in.Etc)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if _, err := os.Stat(filepath.Join(in.Etc, "nodes", target, "10.107.1.2,3260,7")); err == nil {
			t.Error("an empty directory stays")
		}
	}
	other := gone
	other.Target += "-2"
	if err := in.RemoveRecord(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(in.Etc, "nodes", other.Target)); err == nil {
		t.Error("the directory of a target without records stays")
	}
}

func TestPrepareIface(t *testing.T) {
	in := newInitiator(t)
	file := filepath.Join(in.Etc, "ifaces", openiscsi.DefaultIface)
	if err := in.PrepareIface(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if want := "iface.iscsi_ifacename = mallee-default\niface.transport_name = tcp\n"; err != nil || string(text) != want {
		t.Errorf("iface record %q, %v, want %q", text, err, want)
	}
	// An admin's change to it stays.
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := in.PrepareIface(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Errorf("iface record is now %q", text)
	}
}

func TestTheDatabasesLockIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInitiator(t)
		if err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("10.107.1.200:3260")}, settings, openiscsi.Secret{}); err != nil {
			t.Fatal(err)
		}
		file, link := filepath.Join(in.Lock, "lock"), filepath.Join(in.Lock, "lock.write")
		if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the lock is not given back: %v", err)
		}
		// As iscsiadm takes it.
		if err := os.Link(file, link); err != nil {
			t.Fatal(err)
		}
		// Without an earlier deadline the wait is as long as iscsiadm's.
		for deadline, patience := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: 30 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			start := time.Now()
			err := in.RemoveRecord(ctx, portal("10.107.1.200:3260"))
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), link) {
				t.Errorf("error %v, want one that names the lock and is the deadline's", err)
			}
			if waited := time.Since(start); waited != patience {
				t.Errorf("waited %s, want %s", waited, patience)
			}
		}
		if len(files(t, filepath.Join(in.Etc, "nodes"))) != 1 {
			t.Error("the record was removed under another's lock")
		}
		if _, err := os.Lstat(link); err != nil {
			t.Fatalf("another's lock was taken away: %v", err)
		}

		time.AfterFunc(5*time.Second, func() { os.Remove(link) })
		start := time.Now()
		if err := in.RemoveRecord(t.Context(), portal("10.107.1.200:3260")); err != nil {
			t.Errorf("after the lock was given back: %v", err)
		}
		if waited := time.Since(start); waited < 5*time.Second || waited > 6*time.Second {
			t.Errorf("waited %s for a lock held for 5s", waited)
		}
	})
}

// What is there as it should be costs neither the lock nor a write, unless somebody
// may have died with the lock: then it is waited for, and broken, as ever.
func TestRecordsThatAreThereAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInitiator(t)
		p := bound(t, "10.107.1.200:3260", "eth1")
		secret := openiscsi.Secret{Username: "nc1", Password: "OpenSesame"}
		file := filepath.Join(in.Etc, "nodes", target, "10.107.1.200,3260,1", "mallee-net-eth1")
		var before os.FileInfo
		write := func(ctx context.Context, written bool) error {
			t.Helper()
			err := in.WriteRecords(ctx, []openiscsi.Portal{p}, settings, secret)
			now, statErr := os.Stat(file)
			if statErr != nil || now.Mode() != 0o600 {
				t.Errorf("record %v, %v", now, statErr)
			}
			if err == nil && os.SameFile(before, now) == written {
				t.Errorf("written: %t, want %t", !written, written)
			}
			before = now
			return err
		}
		for _, change := range []struct {
			do      func() error
			written bool
		}{
			{func() error { return nil }, true},
			{func() error { return nil }, false},
			{func() error { return os.Chmod(file, 0o644) }, true},
			{func() error { secret.Password = "OpenBarley"; return nil }, true},
			{func() error { return os.Truncate(file, 5) }, true},
			{func() error { return os.Remove(filepath.Join(in.Etc, "ifaces", "mallee-net-eth1")) }, false},
			{func() error { return nil }, false},
		} {
			if err := errors.Join(change.do(), write(t.Context(), change.written)); err != nil {
				t.Error(err)
			}
		}
		if got := files(t, filepath.Join(in.Etc, "ifaces")); !slices.Equal(got, []string{"mallee-net-eth1"}) {
			t.Errorf("ifaces %q", got)
		}
		if err := os.Link(filepath.Join(in.Lock, "lock"), filepath.Join(in.Lock, "lock.write")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := write(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("under another's lock: %v", err)
		}
	})
}

// A portal that is refused, or a file that cannot be, leaves the others as they are.
func TestRecordsAreWrittenAllOrNone(t *testing.T) {
	in := newInitiator(t)
	bad := portal("10.107.1.201:3260")
	bad.Iface = "default"
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("10.107.1.200:3260"), bad}, settings, openiscsi.Secret{}); err == nil {
		t.Error("no error")
	}
	if got := files(t, in.Etc); len(got) > 0 {
		t.Errorf("files %q", got)
	}
}

func TestTheDatabasesLockIsGivenBackAfterAnError(t *testing.T) {
	in := newInitiator(t)
	// A file where the directory should be.
	if err := os.WriteFile(filepath.Join(in.Etc, "nodes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("10.107.1.200:3260")}, settings, openiscsi.Secret{}); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Lstat(filepath.Join(in.Lock, "lock.write")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock is not given back: %v", err)
	}
}
