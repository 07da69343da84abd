// SPDX-License-Identifier: Apache-2.0

package lio_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/lio"
)

func TestWhatDrainsIsUnlinkedByAProcessOfItsOwn(t *testing.T) {
	root, bin := t.TempDir(), t.TempDir()
	calls := filepath.Join(bin, "calls")
	script := "#!/bin/sh\necho \"$1\" >>" + calls + "\nexec /usr/bin/unlink \"$1\"\n"
	must(t, os.WriteFile(filepath.Join(bin, "unlink"), []byte(script), 0o700))
	configfs := lio.ConfigFS{Root: root, Run: command.Runner{Path: []string{bin}}}
	for name, isOwn := range map[string]bool{
		tpg + "lun/lun_1/" + string(nc1):                    true,
		tpg + "acls/" + string(nc1) + "/lun_1/" + disk.Name: false,
	} {
		_ = os.Remove(calls)
		must(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700))
		must(t, os.Symlink(root, filepath.Join(root, name)))
		must(t, configfs.Unlink(name))
		if _, err := os.Lstat(filepath.Join(root, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
		if _, err := os.Stat(calls); (err == nil) != isOwn {
			t.Errorf("%s: by a process of its own %v, want %v", name, err == nil, isOwn)
		}
		if err := configfs.Unlink(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s again: %v, want %v", name, err, fs.ErrNotExist)
		}
	}
}
