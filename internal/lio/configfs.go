// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is where systemd mounts configfs, and LIO's directory in it.
const Root = "/sys/kernel/config/target"

// ConfigFS is the kernel's configfs, mounted at a directory.
type ConfigFS struct{ Root string }

func (c ConfigFS) path(name string) string { return filepath.Join(c.Root, name) }

// Mkdir implements FS.
func (c ConfigFS) Mkdir(name string) error { return os.Mkdir(c.path(name), 0o755) }

// Rmdir implements FS. os.Remove would try to unlink first, which is another
// operation in configfs.
func (c ConfigFS) Rmdir(name string) error {
	return pathError("rmdir", name, unix.Rmdir(c.path(name)))
}

// Symlink implements FS.
func (c ConfigFS) Symlink(target, link string) error {
	return os.Symlink(c.path(target), c.path(link))
}

// Unlink implements FS.
func (c ConfigFS) Unlink(name string) error {
	return pathError("unlink", name, unix.Unlink(c.path(name)))
}

// Write implements FS. An attribute takes its value in a single write.
func (c ConfigFS) Write(name, value string) error {
	f, err := os.OpenFile(c.path(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Read implements FS, without the newline at the end.
func (c ConfigFS) Read(name string) (string, error) {
	b, err := os.ReadFile(c.path(name))
	return strings.TrimRight(string(b), "\n\x00"), err
}

// List implements FS.
func (c ConfigFS) List(name string) ([]string, error) {
	entries, err := os.ReadDir(c.path(name))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Readlink implements FS.
func (c ConfigFS) Readlink(name string) (string, error) { return os.Readlink(c.path(name)) }

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}
