// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// iscsiadm returns a Runner whose iscsiadm notes its arguments in the file
// returned and ends with the given code.
func iscsiadm(t *testing.T, exit int) (command.Runner, string) {
	t.Helper()
	dir := t.TempDir()
	args := filepath.Join(dir, "args")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >%s\necho 'iscsiadm: details' >&2\nexit %d\n", args, exit)
	if err := os.WriteFile(filepath.Join(dir, "iscsiadm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return command.Runner{Path: []string{dir}}, args
}

// login logs in to one portal and returns its outcome.
func login(t *testing.T, in *openiscsi.Initiator, p openiscsi.Portal) error {
	t.Helper()
	return logins(t, in, p)[p]
}

// logins logs in to portals and returns the outcome of each.
func logins(t *testing.T, in *openiscsi.Initiator, portals ...openiscsi.Portal) map[openiscsi.Portal]error {
	t.Helper()
	got := map[openiscsi.Portal]error{}
	in.Login(t.Context(), portals, func(p openiscsi.Portal, err error) {
		if _, ok := got[p]; ok {
			t.Errorf("%s has two outcomes", p)
		}
		got[p] = err
	})
	if len(got) != len(portals) {
		t.Errorf("outcomes %v of %v", got, portals)
	}
	return got
}

func TestLoginTellsWhyItFailed(t *testing.T) {
	for _, test := range []struct {
		name string
		exit int
		want error // nil for success
	}{
		{"success", 0, nil},
		{"an earlier login", 15, openiscsi.ErrPending},
		{"no connection", 4, openiscsi.ErrUnreachable},
		{"timeout", 8, openiscsi.ErrTimeout},
		{"no iscsid", 20, openiscsi.ErrNoDaemon},
		{"wrong secret", 19, openiscsi.ErrRefused},
		{"no secret", 24, openiscsi.ErrRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			run, _ := iscsiadm(t, test.exit)
			err := login(t, &openiscsi.Initiator{Run: run}, portal("10.107.1.200:3260"))
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if err != nil && err.Error() != "login to 10.107.1.200:3260: "+test.want.Error() {
				t.Errorf("error reads %q", err)
			}
		})
	}
	t.Run("any other", func(t *testing.T) {
		run, _ := iscsiadm(t, 6)
		err := login(t, &openiscsi.Initiator{Run: run}, portal("10.107.1.200:3260"))
		if command.ExitCode(err) != 6 || strings.Contains(err.Error(), "details") {
			t.Errorf("error %v, want exit code 6 and no output", err)
		}
	})
	t.Run("no iscsiadm", func(t *testing.T) {
		in := &openiscsi.Initiator{Run: command.Runner{Path: []string{t.TempDir()}}}
		if err := login(t, in, portal("10.107.1.200:3260")); err == nil {
			t.Error("no error")
		}
	})
}

func TestLoginNamesOnePortal(t *testing.T) {
	for addr, want := range map[string]string{
		"10.107.1.200:3260":   "-m node -T iqn.2026-11.io.mallee:san -p 10.107.1.200:3260,1 -I mallee-default --login\n",
		"[2001:db8::1]:860":   "-m node -T iqn.2026-11.io.mallee:san -p [2001:db8::1]:860,1 -I mallee-default --login\n",
		"[fe80::1%eth1]:3260": "-m node -T iqn.2026-11.io.mallee:san -p [fe80::1%eth1]:3260,1 -I mallee-default --login\n",
	} {
		run, args := iscsiadm(t, 0)
		if err := login(t, &openiscsi.Initiator{Run: run}, portal(addr)); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(args); string(got) != want {
			t.Errorf("arguments %q, want %q", got, want)
		}
	}
}
