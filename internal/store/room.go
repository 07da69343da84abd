// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee"
)

// reserve is what must be free for a write. etcd allocates the next segment of
// its log, 64 MiB (wal.SegmentSizeBytes), before it needs it, and its database
// grows by up to 16 MiB at a time; when either fails etcd ends its process. So
// writes stop while there is room for one segment and two growths.
const reserve = 96 << 20

// growth is by how much the database's file grows at a time (bbolt's AllocSize).
const growth = 16 << 20

// room guards the disk that an embedded etcd is on.
type room struct {
	dir      string
	database string // etcd's file
	statfs   func(path string, into *unix.Statfs_t) error
}

// check refuses when there is less than the reserve, and otherwise makes sure of
// the room that a write needs. Its calls cost some microseconds, a write to etcd
// some milliseconds.
func (r *room) check() error {
	free, err := r.free()
	if err != nil {
		return err
	}
	if free >= reserve {
		return r.allocate()
	}
	return &mallee.Error{
		Op: "write to", Kind: mallee.Unavailable, ID: r.dir,
		Err:  fmt.Errorf("its file system has %d MiB free, and the store writes only while there are %d", free>>20, uint64(reserve)>>20),
		Hint: "make room on it; nothing is lost and nothing need be restarted",
	}
}

// allocate gives the database's file its blocks. bbolt makes the file longer
// without them, and etcd writes to it up to 100 ms after it has acknowledged a
// record: who fills the disk in between would end the process.
func (r *room) allocate() error {
	f, err := os.OpenFile(r.database, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) { // before the first start
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Blocks*512 >= st.Size+growth/2 {
		return nil
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, st.Size+growth)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) { // not every file system can
		return fmt.Errorf("cannot make room for the store's next records: %w", err)
	}
	return nil
}

// free returns the bytes that are free to us on the disk.
func (r *room) free() (uint64, error) {
	var st unix.Statfs_t
	if err := r.statfs(r.dir, &st); err != nil {
		return 0, fmt.Errorf("cannot look how full the disk is: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
