// SPDX-License-Identifier: Apache-2.0

package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// lio is the kernel's target.
type lio struct {
	root string // configfs

	mu   sync.Mutex
	next uint64 // first sector of the disk that no slow backstore has
}

func (l *lio) path(parts ...string) string {
	return filepath.Join(l.root, filepath.Join(parts...))
}

func (l *lio) tpg(iqn string, tag uint16, parts ...string) string {
	return l.path("iscsi", iqn, fmt.Sprintf("tpgt_%d", tag), filepath.Join(parts...))
}

func (l *lio) lun(s Seat, parts ...string) string {
	return l.tpg(s.IQN, s.Tag, "lun", fmt.Sprintf("lun_%d", s.LUN), filepath.Join(parts...))
}

// attribute is a file of configfs, below a directory, and what is written to it.
type attribute struct{ name, value string }

// write sets attributes in order. Each takes its value in a single write.
func write(dir string, attributes ...attribute) error {
	for _, a := range attributes {
		f, err := os.OpenFile(filepath.Join(dir, a.name), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(a.value)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes directories one by one, as configfs wants it; one that is there is
// success.
func mkdir(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// open makes a portal group and lets everybody in.
func (l *lio) open(t TPG) error {
	dir := l.tpg(t.IQN, t.Tag)
	if err := mkdir(l.path("iscsi"), filepath.Dir(dir), dir); err != nil {
		return err
	}
	for _, p := range t.Portals {
		if err := mkdir(filepath.Join(dir, "np", p.String())); err != nil {
			return err
		}
	}
	return write(
		dir,
		attribute{"attrib/generate_node_acls", "1"},
		attribute{"attrib/cache_dynamic_acls", "1"},
		attribute{"attrib/demo_mode_write_protect", "0"},
		attribute{"attrib/authentication", "0"},
		// With the kernel's 64, two LUNs that hang stall all others of a session.
		attribute{"attrib/default_cmdsn_depth", "512"},
		attribute{"enable", "1"},
	)
}

// put puts a backstore behind LUNs, which are made if need be.
func (l *lio) put(c change) error {
	dir, err := l.backstore(c.Backstore)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range c.Seats {
		errs = append(errs, mkdir(l.lun(s)), os.Symlink(dir, l.lun(s, "backstore")))
	}
	return errors.Join(errs...)
}

// empty takes away what is behind LUNs, and returns when the commands that have
// reached it have ended.
func (l *lio) empty(seats []Seat) error {
	var errs []error
	for _, s := range seats {
		errs = append(errs, unix.Unlink(l.lun(s, "backstore")))
	}
	return errors.Join(errs...)
}

// remove removes empty LUNs.
func (l *lio) remove(seats []Seat) error {
	var errs []error
	for _, s := range seats {
		errs = append(errs, unix.Rmdir(l.lun(s)))
	}
	return errors.Join(errs...)
}

// backstore returns the directory of a backstore of any kind.
func (l *lio) backstore(name string) (string, error) {
	for _, adapter := range []string{files, disks} {
		dir := l.path("core", adapter, name)
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("there is no backstore %q", name)
}
