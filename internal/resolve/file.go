// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/config"
)

// maxFile is the largest file that is read.
const maxFile = 1 << 20

// file is one that labels stand in, as it was last read.
type file struct {
	path  string // empty for none
	parse func(path string) (devices map[string]string, warnings []string, err error)

	seen, read stamp // at the last look, at the last reading
	devices    map[string]string
	warnings   []string
	fault      string // why the file could not be read again; empty when it could
}

// stamp changes when a file does. The zero stamp is that of no file.
type stamp struct {
	failed       bool
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec // the latter for `cp --preserve`
}

func look(path string) (stamp, error) {
	if path == "" {
		return stamp{}, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{failed: true}, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || s.Size > maxFile {
		// Reading a pipe would not end.
		return stamp{failed: true}, fmt.Errorf("%s is no regular file of at most %d bytes", path, maxFile)
	}
	return stamp{dev: s.Dev, ino: s.Ino, size: s.Size, mtime: s.Mtim, ctime: s.Ctim}, nil
}

// poll reads the file if it has changed, and not since the look before: an editor
// that writes it in place, or removes it before it renames the new one, is left
// to finish. A file that cannot be read keeps its last labels, and is tried again
// at each look; one that is gone has none. Settled is false if another look is
// needed before the file counts as it is.
func (f *file) poll() (settled bool) {
	now, err := look(f.path)
	settled = now == f.seen || err != nil
	f.seen = now
	if err == nil && (!settled || now == f.read) {
		return settled
	}
	var devices map[string]string
	var warnings []string
	if err == nil && now != (stamp{}) {
		devices, warnings, err = f.parse(f.path)
		if again, _ := look(f.path); again != now {
			return false // something between the old and the new was read
		}
	}
	if err != nil {
		f.read = stamp{failed: true}
		f.fault = "the storage interfaces stay as they were: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		return true
	}
	f.read, f.devices, f.warnings, f.fault = now, devices, warnings, ""
	return true
}

func parseEucalyptus(path string) (devices map[string]string, warnings []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	devices, warnings = mallee.ParseStorageInterfaces(string(text))
	for i, w := range warnings {
		warnings[i] = path + ": " + w
	}
	return devices, warnings, nil
}

// parseMalleed takes the table of a file that is good as a whole: malleed would not
// start with any other.
func parseMalleed(path string) (devices map[string]string, warnings []string, err error) {
	c, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	return c.Storage.Interfaces, nil, nil
}
