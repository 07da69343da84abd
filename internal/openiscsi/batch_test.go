// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// four are the portals of the recordings in testdata.
func four() []openiscsi.Portal {
	return []openiscsi.Portal{
		portal("10.107.1.200:3260"), portal("10.107.1.201:3260"), portal("10.108.1.200:3260"), portal("10.108.1.201:3260"),
	}
}

// recorded makes an initiator whose iscsiadm says what a real one of open-iscsi
// 2.1.8 said, from testdata, and which has the records of four and a sysfs.
// calls returns the arguments of each call since the last, sorted.
func recorded(t *testing.T, output string, exit int) (in *openiscsi.Initiator, k kernel, calls func() []string) {
	t.Helper()
	in, k = newInitiator(t), newKernel(t)
	in.Sys = k.dir
	if err := in.WriteRecords(t.Context(), four(), settings, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%s/calls\ncd %s\nwhile read -r line; do echo \"$line\"; done <%[3]s.stdout\n"+
		"while read -r line; do echo \"$line\" >&2; done <%[3]s.stderr\nexit %[4]d\n", dir, testdata, output, exit)
	if err := os.WriteFile(filepath.Join(dir, "iscsiadm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	in.Run = command.Runner{Path: []string{dir}}
	return in, k, func() []string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "calls")); err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(strings.Lines(string(text)))
	}
}

const loginToAll = "-m node -T " + target + " -I mallee-default --login\n"

func TestPortalsOfATargetShareAProcess(t *testing.T) {
	a1, a2, b1, b2 := four()[0], four()[1], four()[2], four()[3]
	for _, test := range []struct {
		output string
		exit   int
		there  []openiscsi.Portal // that have a session when iscsiadm has ended
		failed map[openiscsi.Portal]error
	}{
		{"all", 0, four(), nil},
		{"dead", 8, []openiscsi.Portal{a1, b1, b2}, map[openiscsi.Portal]error{a2: openiscsi.ErrTimeout}},
		{"one-missing", 15, four(), nil},
		{"present", 15, four(), nil},
		{"refused", 24, nil, map[openiscsi.Portal]error{
			a1: openiscsi.ErrRefused, a2: openiscsi.ErrPending, b1: openiscsi.ErrRefused, b2: openiscsi.ErrRefused,
		}},
		{"pending", 15, []openiscsi.Portal{a1, b1, b2}, map[openiscsi.Portal]error{a2: openiscsi.ErrPending}},
		{"reset", 15, []openiscsi.Portal{a2, b1, b2}, map[openiscsi.Portal]error{a1: openiscsi.ErrTimeout}},
		// What iscsiadm said goes before what is seen: a session can be gone again
		// by then, and that of a failed login be there still.
		{"all", 0, nil, nil},
		{"dead", 8, four(), map[openiscsi.Portal]error{a2: openiscsi.ErrTimeout}},
	} {
		t.Run(test.output, func(t *testing.T) {
			in, k, calls := recorded(t, test.output, test.exit)
			for i, p := range test.there {
				k.login(i+1, i+1, nil, map[string]string{"persistent_address": p.Addr.Addr().String()})
			}
			for p, err := range logins(t, in, four()...) {
				if want := test.failed[p]; !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", p, err, want)
				}
				if err != nil && !strings.HasPrefix(err.Error(), "login to "+p.String()+": ") {
					t.Errorf("error reads %q", err)
				}
			}
			if got := calls(); !slices.Equal(got, []string{loginToAll}) {
				t.Errorf("calls %q", got)
			}
		})
	}
}

func TestAPortalOfWhichNothingIsSaidHasFailed(t *testing.T) {
	for _, test := range []struct {
		output string
		exit   int
		silent string // has no record
		others error
	}{
		{"no-daemon", 20, "10.108.1.200:3260", openiscsi.ErrNoDaemon},
		{"all", 0, "10.109.1.1:3260", nil},
	} {
		t.Run(test.output, func(t *testing.T) {
			in, _, _ := recorded(t, test.output, test.exit)
			silent := portal(test.silent)
			portals := append(slices.DeleteFunc(four(), func(p openiscsi.Portal) bool { return p == silent }), silent)
			for p, err := range logins(t, in, portals...) {
				if p != silent && !errors.Is(err, test.others) {
					t.Errorf("%s: %v, want %v", p, err, test.others)
				}
				if p == silent && (err == nil || !strings.Contains(err.Error(), "did not say") || strings.Contains(err.Error(), "systemctl")) {
					t.Errorf("%s: %v, want an error that says so, without iscsiadm's output", p, err)
				}
			}
		})
	}
}

func TestNobodyLogsInToMoreThanIsAskedFor(t *testing.T) {
	alone := func(portals ...openiscsi.Portal) (calls []string) {
		for _, p := range portals {
			calls = append(calls, fmt.Sprintf("-m node -T %s -p %s,1 -I %s --login\n", p.Target, p.Addr, p.Iface))
		}
		return calls
	}
	fifth := portal("10.109.1.1:3260")
	eth1, eth2 := bound(t, "10.107.1.200:3260", "eth1"), bound(t, "10.107.1.201:3260", "eth1")
	for _, test := range []struct {
		name    string
		records []string // beside those of four
		there   []openiscsi.Portal
		ask     []openiscsi.Portal
		want    []string
	}{
		{"all that there are", nil, nil, four(), []string{loginToAll}},
		{"one", nil, nil, four()[:1], alone(four()[0])},
		{"some", nil, nil, four()[:3], alone(four()[:3]...)},
		{"all that have no session", nil, four()[2:], four()[:2], []string{loginToAll}},
		{"a session of another portal group", []string{"10.109.1.1,3260,7/mallee-default"}, []openiscsi.Portal{fifth}, four(), []string{loginToAll}},
		{"one more by a name", []string{"san1,3260,1/mallee-default"}, nil, four(), alone(four()...)},
		{"records of others", []string{"san1,3260,1/default", "10.109.1.1,3260,1/mallee-net-eth1"}, nil, four(), []string{loginToAll}},
		{"another iface", []string{"10.107.1.200,3260,1/mallee-net-eth1", "10.107.1.201,3260,1/mallee-net-eth1"}, nil, append(four(), eth1, eth2), []string{
			loginToAll, strings.Replace(loginToAll, "mallee-default", "mallee-net-eth1", 1),
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, k, calls := recorded(t, "all", 0)
			for _, record := range test.records {
				file := filepath.Join(in.Etc, "nodes", target, record)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for i, p := range test.there {
				k.login(i+1, i+1, nil, map[string]string{"persistent_address": p.Addr.Addr().String()})
			}
			logins(t, in, test.ask...)
			if diff := cmp.Diff(test.want, calls()); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
		})
	}
}
