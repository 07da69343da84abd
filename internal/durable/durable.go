// SPDX-License-Identifier: Apache-2.0

// Package durable brings changes of a directory to the disk, for files that must
// be as they were last seen after a power failure.
package durable

import (
	"errors"
	"os"
)

// SyncDir brings the names in a directory to the disk. To sync a file does not
// bring its name with it (fsync(2)): after a power failure a file that was made,
// renamed or removed may be as before.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
