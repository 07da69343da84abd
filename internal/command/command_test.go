// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/command"
)

// scripts returns a Runner that finds the given shell scripts before the
// system's programs.
func scripts(t *testing.T, byName map[string]string) command.Runner {
	t.Helper()
	dir := t.TempDir()
	for name, body := range byName {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return command.Runner{Path: []string{dir, "/usr/bin", "/bin"}}
}

func TestRunReturnsStandardOutputAlone(t *testing.T) {
	r := scripts(t, map[string]string{"tool": `echo "out $1 $LC_ALL"; echo noise >&2`})
	out, err := r.Run(t.Context(), "tool", "a b;c")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), "out a b;c C\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

func TestRunTellsExitCodeAndKeepsOutputOutOfTheMessage(t *testing.T) {
	r := scripts(t, map[string]string{"tool": `echo details >&2; exit 21`})
	_, err := r.Run(t.Context(), "tool")
	failure, ok := errors.AsType[*command.Error](err)
	if !ok {
		t.Fatalf("error %v, want a *command.Error", err)
	}
	if failure.ExitCode != 21 || failure.Stderr != "details" || command.ExitCode(err) != 21 {
		t.Errorf("got %+v", failure)
	}
	if strings.Contains(err.Error(), "details") {
		t.Errorf("message %q holds raw output", err)
	}
}

func TestRunEndsChildrenWithTheDeadline(t *testing.T) {
	r := scripts(t, map[string]string{"tool": `sleep 60 & sleep 60`})
	r.Timeout = 100 * time.Millisecond
	start := time.Now()
	_, err := r.Run(t.Context(), "tool")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a deadline", err)
	}
	if time.Since(start) > 30*time.Second {
		t.Error("the children were waited for")
	}
}

func TestRunRefusesAProgramNamedByPath(t *testing.T) {
	if _, err := (command.Runner{}).Run(t.Context(), "/bin/true"); err == nil {
		t.Error("a path was accepted")
	}
	if _, err := (command.Runner{}).Run(t.Context(), "no-such-program"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v, want not found", err)
	}
}
