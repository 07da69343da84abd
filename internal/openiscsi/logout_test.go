// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
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

func TestLogout(t *testing.T) {
	session := openiscsi.Session{ID: 7, Portal: portal("10.107.1.200:3260")}
	for _, test := range []struct {
		name  string
		exit  int
		fails bool
	}{
		{"success", 0, false},
		{"gone already", 21, false},
		{"gone while it was looked for", 22, false},
		{"failure", 10, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			run, args := iscsiadm(t, test.exit)
			err := (&openiscsi.Initiator{Run: run}).Logout(t.Context(), []openiscsi.Session{session})[0]
			if (err != nil) != test.fails {
				t.Errorf("error %v, want one: %t", err, test.fails)
			}
			if got, _ := os.ReadFile(args); string(got) != "-m session -r 7 -u\n" {
				t.Errorf("arguments %q", got)
			}
		})
	}
}

const logoutOfAll = "-m node -T " + target + " -I mallee-default --logout\n"

func alone(ids ...int) (calls []string) {
	for _, id := range ids {
		calls = append(calls, fmt.Sprintf("-m session -r %d -u\n", id))
	}
	return calls
}

// leaver makes a sysfs with three sessions of one group and an initiator whose
// iscsiadm, told to log out of all, ends those given, and then exits with a code.
// calls returns the arguments of each call, sorted.
func leaver(t *testing.T, exit int, ends ...int) (in *openiscsi.Initiator, k kernel, calls func() []string) {
	t.Helper()
	in, k = newInitiator(t), newKernel(t)
	in.Sys = k.dir
	for id := 1; id <= 3; id++ {
		k.login(id, id, nil, map[string]string{"persistent_address": fmt.Sprintf("10.107.1.%d", id)})
	}
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$*\" >>" + dir + "/calls\n[ $2 = session ] && exit 0\n"
	for _, id := range ends {
		script += fmt.Sprintf("/bin/rm %s/class/iscsi_session/session%d\n", k.dir, id)
	}
	script += fmt.Sprintf("exit %d\n", exit)
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
		return slices.Sorted(strings.Lines(string(text)))
	}
}

func TestSessionsOfATargetShareAProcess(t *testing.T) {
	for _, test := range []struct {
		name  string
		exit  int
		ends  []int
		after []int // that iscsiadm is called for alone
	}{
		{"all end", 0, []int{1, 2, 3}, nil},
		{"one stays", 0, []int{1, 3}, []int{2}},
		{"iscsiadm fails", 9, []int{1, 3}, []int{1, 2, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, k, calls := leaver(t, test.exit, test.ends...)
			if errs := in.Logout(t.Context(), k.sessions()); !slices.Equal(errs, []error{nil, nil, nil}) {
				t.Errorf("errors %v", errs)
			}
			if diff := cmp.Diff(append([]string{logoutOfAll}, alone(test.after...)...), calls()); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
		})
	}
}

func TestNobodyLogsOutOfMoreThanIsAskedFor(t *testing.T) {
	for _, test := range []struct {
		name  string
		ask   int // how many of the three
		other map[string]string
		want  []string
	}{
		{"some", 2, nil, alone(1, 2)},
		{"one more", 3, map[string]string{}, alone(1, 2, 3)},
		{"one that comes up", 3, map[string]string{"ifacename": "(null)"}, alone(1, 2, 3)},
		{"one whose target is not yet set", 3, map[string]string{"targetname": "(null)"}, alone(1, 2, 3)},
		{"one that is not to an address", 3, map[string]string{"tpgt": "-"}, alone(1, 2, 3)},
		{"another's", 3, map[string]string{"ifacename": "default"}, []string{logoutOfAll}},
		{"another's that comes up", 3, map[string]string{"ifacename": "default", "targetname": "(null)"}, []string{logoutOfAll}},
		{"another target's", 3, map[string]string{"targetname": target + "-2"}, []string{logoutOfAll}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, k, calls := leaver(t, 0, 1, 2, 3)
			ask := k.sessions()[:test.ask]
			if test.other != nil {
				k.login(9, 9, test.other, nil)
			}
			if errs := in.Logout(t.Context(), ask); slices.ContainsFunc(errs, func(err error) bool { return err != nil }) || len(errs) != test.ask {
				t.Errorf("errors %v", errs)
			}
			if diff := cmp.Diff(test.want, calls()); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
		})
	}
}
