// SPDX-License-Identifier: Apache-2.0

//go:build lab

package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
)

const (
	inNamespace = "MALLEE_TEST_IN_NAMESPACE"
	diskBytes   = 640 << 20
)

// TestLabFullDisk runs itself once more with mounts of its own: nothing is left
// mounted, however it ends.
func TestLabFullDisk(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		testFullDisk(t)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run", "^TestLabFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

func testFullDisk(t *testing.T) {
	dir := tempDir(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskBytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	d := &disk{t: t, dir: dir}
	s := d.open()
	d.fill(diskBytes / 2)
	// The store itself fills the rest, with its log and its history.
	d.write(s, 400, true)
	if free := d.free(); free > 96<<20 {
		t.Errorf("writes are refused while %d MiB are free", free>>20)
	}
	d.check(s)
	// Somebody else takes all that is left, and gives some of it back.
	for range 3 {
		d.fill(0)
		d.write(s, 1, true)
		d.check(s)
		d.empty()
		d.write(s, 3, false)
		d.check(s)
	}
	d.write(s, 400, true)
	d.fill(8 << 20)
	d.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), d.options())
	if mallee.KindOf(err) != mallee.Unavailable || !strings.Contains(err.Error(), "MiB free") || !strings.Contains(err.Error(), dir) {
		t.Errorf("the start on a full disk fails with %v", err)
	}
	d.enlarge()
	s = d.open()
	d.check(s)
	d.write(s, 20, false)
	d.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// disk is a small file system with a store in it.
type disk struct {
	t    *testing.T
	dir  string
	last string // that was acknowledged
	n    int
}

var pages = store.NewTable[string]("pages", 1)

func (d *disk) options() store.Options {
	return store.Options{Dir: filepath.Join(d.dir, "etcd"), Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
}

func (d *disk) open() *store.Store {
	d.t.Helper()
	s, err := store.Open(d.t.Context(), d.options())
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// write writes up to n times, and wants the last to be refused, or none.
func (d *disk) write(s *store.Store, n int, refused bool) {
	d.t.Helper()
	for range n {
		d.n++
		page := fmt.Sprintf("%08d", d.n) + strings.Repeat("x", 900<<10)
		err := s.Update(d.t.Context(), func(tx *store.Tx) error { return pages.Put(tx, "page", page) })
		if err == nil {
			d.last = page[:8]
			continue
		}
		if e, ok := errors.AsType[*mallee.Error](err); !ok || e.Kind != mallee.Unavailable || e.Hint == "" ||
			!strings.Contains(err.Error(), "MiB free") || !strings.Contains(err.Error(), d.dir) {
			d.t.Fatalf("write %d fails with %v", d.n, err)
		}
		if !refused {
			d.t.Fatal(err)
		}
		return
	}
	if refused {
		d.t.Errorf("no write of %d was refused, with %d MiB free", n, d.free()>>20)
	}
}

// check reads the last that was acknowledged.
func (d *disk) check(s *store.Store) {
	d.t.Helper()
	page, found, err := pages.Find(d.t.Context(), s, "page")
	if err != nil || !found || page[:8] != d.last {
		d.t.Fatalf("the record is %.8s, %v, and %s was acknowledged", page, err, d.last)
	}
	select {
	case err := <-s.Failed():
		d.t.Fatal(err)
	default:
	}
}

func (d *disk) free() int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(d.dir, &st); err != nil {
		d.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// fill takes all but left bytes of the disk, or a little more.
func (d *disk) fill(left int64) {
	d.t.Helper()
	f, err := os.Create(filepath.Join(d.dir, "filler"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	size := int64(0)
	for step := int64(16 << 20); step >= 4096; {
		if d.free()-left < step || unix.Fallocate(int(f.Fd()), 0, size, step) != nil {
			step /= 2
			continue
		}
		size += step
	}
}

func (d *disk) empty() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
}

func (d *disk) enlarge() {
	d.t.Helper()
	if err := unix.Mount("tmpfs", d.dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", 2*diskBytes)); err != nil {
		d.t.Fatal(err)
	}
}
