// SPDX-License-Identifier: Apache-2.0

package sysfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/sysfs"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	for content, want := range map[string]string{"LOGGED_IN\n": "LOGGED_IN", "": "", "\n": "", " a b \n": "a b"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := sysfs.Read(file); got != want || err != nil {
			t.Errorf("of %q: %q, %v", content, got, err)
		}
	}
	// The kernel's own: it has no size until it is read.
	if got, err := sysfs.Read("/proc/sys/kernel/ostype"); got != "Linux" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "delete")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sysfs.Write(file, "1"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "1" {
		t.Errorf("wrote %q", got)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	_, read := sysfs.Read(none)
	write := sysfs.Write(none, "1")
	if _, err := os.Stat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the write has made a file")
	}
	for _, err := range []error{read, write} {
		if e, ok := errors.AsType[*fs.PathError](err); !ok || e.Path != none || e.Err != unix.ENOENT {
			t.Errorf("%v", err)
		}
	}
	if _, err := sysfs.Read(dir); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}
