// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee"
)

// reserve is what must be free for a write. etcd allocates the next segment of
// its log, 64 MiB (wal.SegmentSizeBytes), before it needs it, and its database
// grows by up to 16 MiB at a time; when either fails etcd ends its process. So
// writes stop while there is room for one segment and two growths.
const reserve = 96 << 20

// room guards the disk that an embedded etcd is on.
type room struct {
	dir    string
	statfs func(path string, into *unix.Statfs_t) error
}

// check refuses when there is less than the reserve. One statfs(2) costs some
// microseconds, a write to etcd some milliseconds.
func (r *room) check() error {
	free, err := r.free()
	if err != nil {
		return err
	}
	if free >= reserve {
		return nil
	}
	return &mallee.Error{
		Op: "write to", Kind: mallee.Unavailable, ID: r.dir,
		Err:  fmt.Errorf("its file system has %d MiB free, and the store writes only while there are %d", free>>20, uint64(reserve)>>20),
		Hint: "make room on it; nothing is lost and nothing need be restarted",
	}
}

// free returns the bytes that are free to us on the disk.
func (r *room) free() (uint64, error) {
	var fs unix.Statfs_t
	if err := r.statfs(r.dir, &fs); err != nil {
		return 0, fmt.Errorf("cannot look how full the disk is: %w", err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}
