// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience bounds the wait for the database's lock. iscsiadm itself gives up
// after 30 s (3000 times 10 ms, usr/idbm.c).
const lockPatience = 30 * time.Second

// abandonedAfter is the age from which a lock is taken for one whose holder was
// killed: nothing removes the link then, and every login of this machine would
// wait for it for ever. iscsiadm holds the lock for the time of a few files.
const abandonedAfter = 20 * time.Second

// locked runs f while it holds open-iscsi's database lock: the hard link
// lock.write to the file lock, as iscsiadm and iscsid make it (usr/idbm.c,
// idbm_lock). There is nothing to wait on, hence the short poll.
func (in *Initiator) locked(ctx context.Context, f func() error) error {
	file, link := in.lock("lock"), in.lock("lock.write")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot lock open-iscsi's database: %w", err)
	}
	fd, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock open-iscsi's database: %w", err)
	}
	fd.Close()

	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		err := os.Link(file, link)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot lock open-iscsi's database: %w", err)
		}
		in.breakAbandoned(link)
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot lock open-iscsi's database: %s is held: %w", link, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	defer os.Remove(link)
	if err := ctx.Err(); err != nil {
		return err // whoever gave up must not find the work done later
	}
	return f()
}

func (in *Initiator) lock(name string) string {
	return filepath.Join(or(in.Lock, "/run/lock/iscsi"), name)
}

// isLocked reports whether anybody holds the database's lock now.
func (in *Initiator) isLocked() bool {
	_, err := os.Lstat(in.lock("lock.write"))
	return err == nil
}

// breakAbandoned removes a lock whose holder was killed. One caller at a time: a
// second one would remove the lock that the first has taken since.
func (in *Initiator) breakAbandoned(link string) {
	in.breaking.Lock()
	defer in.breaking.Unlock()
	if abandoned(link, time.Now()) {
		os.Remove(link)
	}
}

// abandoned reports whether the lock was taken too long ago to be held still.
// Making or removing a link changes the inode's ctime, which so is the time at
// which the lock was taken.
func abandoned(link string, now time.Time) bool {
	var st unix.Stat_t
	if unix.Stat(link, &st) != nil {
		return false
	}
	return now.Sub(time.Unix(st.Ctim.Unix())) > abandonedAfter
}
