// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// pulseInterval is how long a request of a disk can stay lost.
const pulseInterval = 500 * time.Millisecond

// startPulse reads a block of each disk now and then, past all caches, for as long as
// the machine runs.
//
// On a busy host UML's ubd driver now and then misses that a request is done: seen as
// a flush of a thin pool's metadata that never ended, with nothing in flight on the
// disk and all else, logins too, waiting behind the pool's lock. The driver looks at
// everything that is done whenever anything is, so that one more request sets it free.
func startPulse() error {
	disks, err := filepath.Glob("/dev/ubd[a-z]")
	if err != nil {
		return err
	}
	for _, disk := range disks {
		fd, err := unix.Open(disk, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		// O_DIRECT asks for an aligned buffer, as a page is.
		page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return err
		}
		go func() {
			for range time.Tick(pulseInterval) {
				_, _ = unix.Pread(fd, page, 0) // whether it can be read is for others to find
			}
		}()
	}
	return nil
}
