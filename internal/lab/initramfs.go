// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeInitramfs writes a directory's subdirectories and regular files as an
// archive that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst
// of Linux, "newc" without compression). All that is in it belongs to root.
func writeInitramfs(path, dir string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	err = writeCPIO(w, os.DirFS(dir))
	if err = errors.Join(err, w.Flush(), file.Close()); err != nil {
		return fmt.Errorf("cannot write the initramfs: %w", err)
	}
	return nil
}

// trailer is the name of an archive's last entry.
const trailer = "TRAILER!!!"

func writeCPIO(w io.Writer, tree fs.FS) error {
	inode := 0
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		inode++
		switch {
		case entry.IsDir():
			return writeCPIOEntry(w, inode, path, modeDirectory|info.Mode().Perm(), nil)
		case info.Mode().IsRegular():
			data, err := fs.ReadFile(tree, path)
			if err != nil {
				return err
			}
			return writeCPIOEntry(w, inode, path, modeRegular|info.Mode().Perm(), data)
		}
		return fmt.Errorf("%s is neither a directory nor a regular file", filepath.Join("/", path))
	})
	if err != nil {
		return err
	}
	return writeCPIOEntry(w, 0, trailer, 0, nil)
}

// The types of files in an entry's mode, of stat(2).
const (
	modeDirectory fs.FileMode = 0o040000
	modeRegular   fs.FileMode = 0o100000
)

func writeCPIOEntry(w io.Writer, inode int, name string, mode fs.FileMode, data []byte) error {
	const uid, gid, links, mtime, major, minor, checksum = 0, 0, 1, 0, 0, 0, 0
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		inode, uint32(mode), uid, gid, links, mtime, len(data), major, minor, major, minor, len(name)+1, checksum, name)
	for _, part := range [][]byte{[]byte(header), padding(len(header)), data, padding(len(data))} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// padding is what follows n bytes, so that the next part begins at a multiple of
// four.
func padding(n int) []byte { return make([]byte, -n&3) }
