// SPDX-License-Identifier: Apache-2.0

package multipath_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/multipath"
)

const (
	wwid  = "360014056d6c6c650123456789abcdef0"
	other = "35000c500a1b2c3d4"
)

// allowed returns a file of WWIDs with that content; none where it is "-".
func allowed(t *testing.T, content string) *multipath.Allowed {
	t.Helper()
	a := &multipath.Allowed{File: filepath.Join(t.TempDir(), "etc", "wwids")}
	if content == "-" {
		return a
	}
	if err := os.Mkdir(filepath.Dir(a.File), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.File, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func content(t *testing.T, a *multipath.Allowed) string {
	t.Helper()
	text, err := os.ReadFile(a.File)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What was read once is believed only for as long as the file is the same.
func TestAllowedSeesThatALineIsGone(t *testing.T) {
	a := allowed(t, "/"+wwid+"/\n")
	old := time.Now().Add(-time.Hour)
	for range 3 {
		if err := a.Add(t.Context(), wwid); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(a.File, []byte("/"+other+"/\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(a.File, old, old); err != nil { // as an editor may
			t.Fatal(err)
		}
		if err := a.Add(t.Context(), wwid); err != nil {
			t.Fatal(err)
		}
		if got := content(t, a); !strings.Contains(got, "/"+wwid+"/\n") {
			t.Errorf("the file has %q", got)
		}
	}
}

func TestAllowedKeepsWhatIsOfOthers(t *testing.T) {
	const header = "# Multipath wwids, Version : 1.0\n# NOTE: This file is automatically maintained by multipath and multipathd.\n" +
		"# You should not need to edit this file in normal circumstances.\n#\n# Valid WWIDs:\n"
	add := func(a *multipath.Allowed) error { return a.Add(context.Background(), wwid) }
	remove := func(a *multipath.Allowed) error { return a.Remove(context.Background(), wwid) }
	for _, test := range []struct {
		name   string
		before string
		edit   func(*multipath.Allowed) error
		want   string
	}{
		{"add, no file", "-", add, header + "/" + wwid + "/\n"},
		{"add, empty file", "", add, header + "/" + wwid + "/\n"},
		{"add beside another", "# mine\n/" + other + "/\n", add, "# mine\n/" + other + "/\n/" + wwid + "/\n"},
		{"add, there already", "/" + wwid + "/\n# after\n", add, "/" + wwid + "/\n# after\n"},
		{"add beside a longer one", "/" + wwid + "1/\n", add, "/" + wwid + "1/\n/" + wwid + "/\n"},
		{"add after a comment that names it", "#/" + wwid + "/\n", add, "#/" + wwid + "/\n/" + wwid + "/\n"},
		{"add, no line feed at the end", "/" + other + "/", add, "/" + other + "/\n/" + wwid + "/\n"},
		{"add, there without a line feed", "/" + wwid + "/", add, "/" + wwid + "/"},
		{"remove", "# mine\n/" + other + "/\n/" + wwid + "/\n# after\n", remove, "# mine\n/" + other + "/\n# after\n"},
		{"remove, there twice", "/" + wwid + "/\n/" + other + "/\n/" + wwid + "/\n", remove, "/" + other + "/\n"},
		{"remove, not there", "/" + other + "/\n/" + wwid + "1/\n", remove, "/" + other + "/\n/" + wwid + "1/\n"},
		{"remove, no line feed at the end", "/" + other + "/\n/" + wwid + "/", remove, "/" + other + "/\n"},
		{"remove, no file", "-", remove, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := allowed(t, test.before)
			for range 2 { // the second time changes nothing
				if err := test.edit(a); err != nil {
					t.Fatal(err)
				}
				if got := content(t, a); got != test.want {
					t.Errorf("file holds %q, want %q", got, test.want)
				}
			}
		})
	}
}

func TestAllowedRefusesWhatIsNoWWID(t *testing.T) {
	for _, hostile := range []string{"", "a/b", "a\nb", "a b", strings.Repeat("3", 129)} {
		a := allowed(t, "-")
		if err := a.Add(t.Context(), hostile); err == nil {
			t.Errorf("%q was added", hostile)
		}
		if err := a.Remove(t.Context(), hostile); err == nil {
			t.Errorf("%q was removed", hostile)
		}
	}
}

func TestConcurrentEditsLoseNothing(t *testing.T) {
	a := allowed(t, "/"+other+"/\n")
	var wg sync.WaitGroup
	const n = 20
	for i := range n {
		wg.Go(func() {
			stays, goes := fmt.Sprintf("3stays%d", i), fmt.Sprintf("3goes%d", i)
			if err := errors.Join(a.Add(t.Context(), goes), a.Add(t.Context(), stays), a.Remove(t.Context(), goes)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := content(t, a)
	for i := range n {
		if !strings.Contains(got, fmt.Sprintf("/3stays%d/\n", i)) {
			t.Errorf("3stays%d is lost", i)
		}
	}
	if lines := strings.Count(got, "\n"); lines != n+1 || !strings.Contains(got, "/"+other+"/\n") {
		t.Errorf("%d lines, want %d:\n%s", lines, n+1, got)
	}
}

// holder, in the environment, is the file that this test binary, started again
// as another process, shall lock as multipath does until its input ends.
const holder = "MALLEE_TEST_LOCK"

func TestMain(m *testing.M) {
	if file := os.Getenv(holder); file != "" {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err == nil {
			err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		}
		fmt.Println("locked", err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAnotherProcesssLockIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := allowed(t, "/"+other+"/\n")
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), holder+"="+a.File)
		release, err := process.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		output, err := process.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		var word, lockErr string
		if _, err := fmt.Fscanln(output, &word, &lockErr); err != nil || lockErr != "<nil>" {
			t.Fatalf("the other process says %q %q, %v", word, lockErr, err)
		}

		// Without an earlier deadline the wait is as long as multipath's own.
		for deadline, patience := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: 30 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			start := time.Now()
			if err := a.Add(ctx, wwid); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want the deadline's", err)
			}
			if waited := time.Since(start); waited != patience {
				t.Errorf("waited %s, want %s", waited, patience)
			}
			cancel()
		}
		if got := content(t, a); got != "/"+other+"/\n" {
			t.Errorf("file was changed under another's lock: %q", got)
		}
		release.Close()
		if err := process.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := a.Add(t.Context(), wwid); err != nil {
			t.Errorf("after the lock was given back: %v", err)
		}
	})
}
