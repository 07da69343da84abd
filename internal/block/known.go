// SPDX-License-Identifier: Apache-2.0

package block

import (
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// knownFor is how long what a disk was found as is believed without reading it
// again. The kernel changes it only when somebody has a disk rescanned.
const knownFor = 5 * time.Minute

// KnownDevices are Devices that remember, from one SessionDisks to the next, what of a
// disk does not change: with a thousand disks reading all of it takes a tenth of a
// second. Safe for concurrent use; the zero value is ready.
type KnownDevices struct {
	Devices

	mu       sync.Mutex
	sessions map[int]map[string]knownDisk // by the directory of the SCSI device
}

type knownDisk struct {
	Disk
	inode uint64 // of the disk's own directory; sysfs gives none twice (fs/kernfs/dir.c)
	at    time.Time
}

// SessionDisks is that of Devices.
func (k *KnownDevices) SessionDisks(session int) ([]Disk, error) {
	dirs, err := k.sessionDirs(session)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	before := k.sessions[session]
	k.mu.Unlock()
	now := make(map[string]knownDisk, len(dirs))
	var disks []Disk
	for _, dir := range dirs {
		d, err := readKnown(dir, before[dir])
		if gone(err) {
			continue // not a disk, not yet one, or going
		}
		if err != nil {
			return nil, err
		}
		now[dir] = d
		disks = append(disks, d.Disk)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sessions == nil {
		k.sessions = map[int]map[string]knownDisk{}
	}
	if k.sessions[session] = now; len(now) == 0 {
		delete(k.sessions, session)
	}
	return disks, nil
}

// readKnown reads a disk, of which much is known if before is the same one.
func readKnown(dir string, before knownDisk) (knownDisk, error) {
	if before.Name != "" && time.Since(before.at) < knownFor {
		inode, err := inodeOf(filepath.Join(dir, "block", before.Name))
		if err == nil && inode == before.inode {
			err := before.readChanging(dir)
			return before, err
		}
	}
	d, err := readDisk(dir)
	if err != nil {
		return knownDisk{}, err
	}
	// Had another come since, it would have another inode next time.
	inode, err := inodeOf(filepath.Join(dir, "block", d.Name))
	return knownDisk{d, inode, time.Now()}, err
}

func inodeOf(file string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(file, &st)
	return st.Ino, err
}
