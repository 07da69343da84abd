// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/command"
)

// Root is where systemd mounts configfs, and LIO's directory in it.
const Root = "/sys/kernel/config/target"

// drainTimeout is when a process that drains is killed. The kernel lets it die no
// sooner than its commands have ended, so that this decides nothing; but a process
// has a deadline.
const drainTimeout = time.Hour

// ConfigFS is the kernel's configfs, mounted at a directory.
type ConfigFS struct {
	Root string
	Run  command.Runner
}

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

// Unlink implements FS. The link of a LUN of a TPG is unlinked by a process of its
// own: while commands drain it sleeps in the kernel and cannot be killed. Were it
// a thread of ours, it would keep us from ending, and our listening sockets from
// those who come after us.
func (c ConfigFS) Unlink(name string) error {
	if path.Base(path.Dir(path.Dir(name))) == "lun" {
		run := c.Run
		run.Timeout = drainTimeout
		if _, err := run.Run(context.Background(), "unlink", c.path(name)); err == nil {
			return nil
		}
		// The kernel itself tells why; or that the link is gone, if it was killed late.
	}
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
