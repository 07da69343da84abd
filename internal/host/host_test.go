// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/host"
	"github.com/mallee-io/mallee/internal/multipath"
)

const (
	multipathConf = "/etc/multipath/conf.d/mallee.conf"
	udevRules     = "/etc/udev/rules.d/55-mallee.rules"
	lateUdevRules = "/etc/udev/rules.d/99-z-mallee.rules"
	lvmConf       = "/etc/lvm/lvmlocal.conf"
)

// machine is a root directory with a udevadm and a multipathd.
type machine struct {
	*host.Host
	t   *testing.T
	dir string
	log bytes.Buffer
}

// newMachine returns a machine whose multipathd says ok to everything.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	m.udevadm(0)
	m.lvm("")
	m.Host = &host.Host{
		Run:       command.Runner{Path: []string{m.dir}},
		Multipath: multipath.Client{Socket: filepath.Join(m.dir, "socket")},
		Log:       slog.New(slog.NewTextHandler(&m.log, nil)),
		Root:      filepath.Join(m.dir, "root"),
	}
	m.multipathd("ok\n")
	return m
}

// udevadm makes the program note its arguments and end with that code.
func (m *machine) udevadm(exit int) {
	m.t.Helper()
	script := fmt.Sprintf("#!/bin/sh\necho \"udevadm $*\" >>%s\nexit %d\n", filepath.Join(m.dir, "calls"), exit)
	if err := os.WriteFile(filepath.Join(m.dir, "udevadm"), []byte(script), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// lvm makes lvmconfig tell a filter, or that there is none.
func (m *machine) lvm(filter string) {
	m.t.Helper()
	script := "#!/bin/sh\nexit 5\n"
	if filter != "" {
		script = "#!/bin/sh\necho '" + filter + "'\n"
	}
	if err := os.WriteFile(filepath.Join(m.dir, "lvmconfig"), []byte(script), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// multipathd answers each command with reply and notes it.
func (m *machine) multipathd(reply string) {
	m.t.Helper()
	listener, err := net.Listen("unix", m.Multipath.Socket)
	if err != nil {
		m.t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			m.answer(conn, reply)
		}
	})
	m.t.Cleanup(func() {
		listener.Close()
		served.Wait()
	})
}

func (m *machine) answer(conn net.Conn, reply string) {
	defer conn.Close()
	var length uint64
	if err := binary.Read(conn, binary.NativeEndian, &length); err != nil {
		m.t.Error(err)
		return
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(conn, text); err != nil {
		m.t.Error(err)
		return
	}
	calls, err := os.OpenFile(filepath.Join(m.dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Error(err)
		return
	}
	fmt.Fprintf(calls, "multipathd %s\n", bytes.TrimRight(text, "\x00"))
	calls.Close()
	conn.Write(append(binary.NativeEndian.AppendUint64(nil, uint64(len(reply))), reply...))
}

// calls returns what udevadm and multipathd were told since the last call.
func (m *machine) calls() string {
	file := filepath.Join(m.dir, "calls")
	text, _ := os.ReadFile(file)
	os.Remove(file)
	return string(text)
}

func (m *machine) read(file string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.Root, file))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *machine) write(file, content string) {
	m.t.Helper()
	file = filepath.Join(m.Root, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) prepare() {
	m.t.Helper()
	if err := m.Prepare(m.t.Context(), 2*time.Minute); err != nil {
		m.t.Fatal(err)
	}
}

func TestPrepareKeepsTheHostOutOfVolumes(t *testing.T) {
	m := newMachine(t)
	m.prepare()
	for _, file := range []string{multipathConf, udevRules, lateUdevRules, lvmConf} {
		if text := m.read(file); !strings.HasPrefix(text, "# Written by malleed; changes are overwritten.\n") {
			t.Errorf("%s does not say whose it is:\n%s", file, text)
		}
		info, err := os.Stat(filepath.Join(m.Root, file))
		if err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
		if rest, _ := filepath.Glob(filepath.Join(m.Root, filepath.Dir(file), "*new*")); rest != nil {
			t.Errorf("files left beside it: %q", rest)
		}
	}
	for file, want := range map[string][]string{
		multipathConf: {`vendor "MALLEE"`, "no_path_retry 24\n", `skip_kpartx "yes"`, `user_friendly_names "no"`},
		udevRules:     {`ATTRS{vendor}=="MALLEE*"`, `ATTR{dm/uuid}=="mpath-360014056d6c6c65*"`, `ENV{DM_NOSCAN}="1"`},
		lateUdevRules: {`ENV{DM_UUID}=="mpath-360014056d6c6c65*"`},
		lvmConf:       {"r|^/dev/mallee/|", "r|^/dev/disk/by-id/dm-uuid-mpath-360014056d6c6c65|"},
	} {
		for _, w := range want {
			if text := m.read(file); !strings.Contains(text, w) {
				t.Errorf("%s does not hold %s:\n%s", file, w, text)
			}
		}
	}
	if got, want := m.calls(), "udevadm control --reload\nmultipathd reconfigure\n"; got != want {
		t.Errorf("told\n%s, want\n%s", got, want)
	}
}

// multipath.conf takes one setting a line: with "{" and a setting on one line
// multipathd refuses the file and goes on with its defaults.
func TestMultipathConfHasOneSettingALine(t *testing.T) {
	m := newMachine(t)
	m.prepare()
	depth := 0
	for line := range strings.Lines(m.read(multipathConf)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"), line == "":
		case strings.HasSuffix(line, "{"):
			depth++
		case line == "}":
			depth--
		case strings.ContainsAny(line, "{}") || len(strings.Fields(line)) < 2:
			t.Errorf("line %q", line)
		}
	}
	if depth != 0 {
		t.Errorf("%d sections are not closed", depth)
	}
}

func TestPrepareAgainChangesNothing(t *testing.T) {
	m := newMachine(t)
	m.prepare()
	m.calls()
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	files := []string{multipathConf, udevRules, lateUdevRules, lvmConf}
	for _, file := range files {
		if err := os.Chtimes(filepath.Join(m.Root, file), old, old); err != nil {
			t.Fatal(err)
		}
	}
	m.prepare()
	for _, file := range files {
		info, err := os.Stat(filepath.Join(m.Root, file))
		if err != nil || !info.ModTime().Equal(old) {
			t.Errorf("%s was written again, %v", file, err)
		}
	}
	// multipathd may have been started before the file was there.
	if got, want := m.calls(), "multipathd reconfigure\n"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	// But what somebody has changed is put right.
	m.write(udevRules, "# mine\n")
	m.prepare()
	if got := m.read(udevRules); !strings.Contains(got, "MALLEE") || !strings.Contains(m.calls(), "udevadm control --reload") {
		t.Errorf("rules stay as they were:\n%s", got)
	}
}

func TestNoPathTimeoutIsInIntervalsOfTheChecker(t *testing.T) {
	m := newMachine(t)
	for _, test := range []struct {
		timeout time.Duration
		want    string
	}{
		{2 * time.Minute, "24"},
		{5 * time.Second, "1"},
		{6 * time.Second, "2"}, // never less than was asked for
		{11 * time.Second, "3"},
		{time.Second, "1"},
		{0, "1"}, // 0 would be "fail": a moment without a path is not that
		{-time.Second, "1"},
	} {
		t.Run(test.timeout.String(), func(t *testing.T) {
			if err := m.SetNoPathTimeout(t.Context(), test.timeout); err != nil {
				t.Fatal(err)
			}
			if text := m.read(multipathConf); !strings.Contains(text, "\t\tno_path_retry "+test.want+"\n") {
				t.Errorf("want no_path_retry %s in\n%s", test.want, text)
			}
		})
	}
}

// Else the bound would be what the file says and nobody does, until multipathd is
// started anew.
func TestABoundThatMultipathdHasNotReadIsToldAgain(t *testing.T) {
	m := newMachine(t)
	socket := m.Multipath.Socket
	m.Multipath.Socket += "-nobody"
	if err := m.SetNoPathTimeout(t.Context(), time.Hour); err == nil {
		t.Fatal("nobody has read it, and it is said to be set")
	}
	m.Multipath.Socket = socket
	m.calls()
	for _, want := range []string{"multipathd reconfigure\n", ""} {
		if err := m.SetNoPathTimeout(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := m.calls(); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
}

func TestAnAdminsLVMSettingsAreLeftAlone(t *testing.T) {
	const stock = "# This is a local configuration file template for the LVM2 system\n\nlocal {\n\t# host_id = 0\n}\n"
	for _, test := range []struct {
		name    string
		before  string // lvmlocal.conf
		filter  string // what LVM uses
		written bool
		warned  bool
	}{
		{"the distribution's, without a setting", stock, "", true, false},
		{"empty", "", "", true, false},
		{"ours of an earlier release", "# Written by malleed; changes are overwritten.\ndevices {\n}\n", `global_filter=["r|^/dev/mallee/|"]`, true, false},
		{"a setting", "local {\n\thost_id = 7\n}\n", "", false, true},
		{"a setting after a comment about us", "# beside mallee\nlocal {\n\thost_id = 7\n}\n", "", false, true},
		{"a filter in lvm.conf", stock, `global_filter=["r|^/dev/drbd|"]`, false, true},
		{"ours in the admin's own filter", stock, `global_filter=["r|^/dev/disk/by-id/dm-uuid-mpath-360014056d6c6c65|","r|^/dev/sdx|"]`, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			m.write(lvmConf, test.before)
			m.lvm(test.filter)
			m.prepare()
			if got := m.read(lvmConf); (got != test.before) != test.written {
				t.Errorf("written: %t, want %t; it holds\n%s", got != test.before, test.written, got)
			}
			if warned := strings.Contains(m.log.String(), lvmConf); warned != test.warned {
				t.Errorf("warned: %t, want %t; the log says\n%s", warned, test.warned, &m.log)
			}
		})
	}
}

// One of a device's names that a pattern accepts wins over those that others
// reject, and every device has names that no pattern of ours names.
func TestTheFilterAcceptsNothing(t *testing.T) {
	m := newMachine(t)
	m.prepare()
	if text := m.read(lvmConf); strings.Contains(text, `"a|`) {
		t.Errorf("a pattern accepts:\n%s", text)
	}
}

// A node controller that restarts while nobody tells it the bound must not
// shorten it for volumes that are attached.
func TestPrepareKeepsTheBoundThatWasSet(t *testing.T) {
	m := newMachine(t)
	if err := m.SetNoPathTimeout(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	m.prepare()
	if text := m.read(multipathConf); !strings.Contains(text, "no_path_retry 720\n") {
		t.Errorf("the bound of an hour is now\n%s", text)
	}
}

func TestPrepareTellsTheNextStep(t *testing.T) {
	t.Run("multipathd does not run", func(t *testing.T) {
		m := newMachine(t)
		m.Multipath.Socket += "-nobody"
		err := m.Prepare(t.Context(), time.Minute)
		if !errors.Is(err, multipath.ErrNotRunning) || !strings.Contains(err.Error(), "systemctl start multipathd") {
			t.Errorf("error %v, want one with the next step", err)
		}
	})
	t.Run("multipathd refuses", func(t *testing.T) {
		m := newMachine(t)
		m.Multipath.Socket += "-refusing"
		m.multipathd("fail\n")
		if err := m.Prepare(t.Context(), time.Minute); !errors.Is(err, multipath.ErrFailed) {
			t.Errorf("error %v, want a refusal", err)
		}
	})
	t.Run("udev refuses", func(t *testing.T) {
		m := newMachine(t)
		m.udevadm(1)
		if err := m.Prepare(t.Context(), time.Minute); command.ExitCode(err) != 1 {
			t.Errorf("error %v, want udevadm's", err)
		}
	})
	t.Run("the caller gives up", func(t *testing.T) {
		m := newMachine(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.SetNoPathTimeout(ctx, time.Minute); !errors.Is(err, context.Canceled) || errors.Is(err, multipath.ErrNotRunning) {
			t.Errorf("error %v, want the context's alone", err)
		}
	})
}

func TestNothingLogsInAtBoot(t *testing.T) {
	m := newMachine(t)
	dir := filepath.Join(m.Root, "/etc/iscsi/nodes/iqn.2026-11.io.mallee:san/10.107.1.200,3260,1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mallee-default", "default"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("node.startup = automatic\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Prepare(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mallee-default")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("our record logs in at boot: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "default")); err != nil {
		t.Errorf("another's record: %v", err)
	}
	if log := m.log.String(); !strings.Contains(log, "10.107.1.200,3260,1/default") || !strings.Contains(log, "to manual") {
		t.Errorf("the admin is not told of another's record: %s", log)
	}
}
