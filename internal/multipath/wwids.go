// SPDX-License-Identifier: Apache-2.0

package multipath

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Allowed is the file of WWIDs that multipathd makes maps of when
// find_multipaths is strict, as it is by default. One line "/WWID/" stands for
// each (libmultipath/wwids.c).
//
// Its methods are safe for concurrent use, also beside multipath's own tools.
type Allowed struct {
	File string // replaces /etc/multipath/wwids, in tests

	mu   sync.Mutex
	seen unix.Stat_t     // the file when it was read last
	has  map[string]bool // its lines then
}

var wwidForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

const allowedHeader = `# Multipath wwids, Version : 1.0
# NOTE: This file is automatically maintained by multipath and multipathd.
# You should not need to edit this file in normal circumstances.
#
# Valid WWIDs:
`

// Add puts a WWID into the file; one that is there already is success, and costs
// next to nothing while nobody changes the file.
func (a *Allowed) Add(ctx context.Context, wwid string) error {
	if a.contains(wwid) {
		return nil
	}
	return a.edit(ctx, wwid, func(content, line string) string {
		if content == "" {
			content = allowedHeader
		}
		if containsLine(content, line) {
			return content
		}
		return content + line
	})
}

// Remove takes a WWID out of the file; one that is not there is success.
func (a *Allowed) Remove(ctx context.Context, wwid string) error {
	return a.edit(ctx, wwid, func(content, line string) string {
		var kept strings.Builder
		for l := range strings.Lines(content) {
			if l != line {
				kept.WriteString(l)
			}
		}
		return kept.String()
	})
}

// settled is the age from which on a file's time of change tells it from every
// later state: the kernel's clock for it has a coarse step (fs/inode.c,
// current_time).
const settled = time.Second

// contains reports whether the file is known to have a WWID's line.
func (a *Allowed) contains(wwid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	var now unix.Stat_t
	if unix.Stat(a.file(), &now) != nil || time.Since(time.Unix(now.Ctim.Unix())) < settled {
		return false
	}
	if same := now.Ino == a.seen.Ino && now.Dev == a.seen.Dev && now.Size == a.seen.Size && now.Ctim == a.seen.Ctim; !same {
		text, err := os.ReadFile(a.file())
		var after unix.Stat_t
		if err != nil || unix.Stat(a.file(), &after) != nil || after.Ctim != now.Ctim || after.Ino != now.Ino {
			return false
		}
		a.seen, a.has = now, map[string]bool{}
		for line := range strings.Lines(string(text)) {
			a.has[line] = true
		}
	}
	return a.has["/"+wwid+"/\n"]
}

func (a *Allowed) file() string {
	if a.File == "" {
		return "/etc/multipath/wwids"
	}
	return a.File
}

func containsLine(content, line string) bool {
	for l := range strings.Lines(content) {
		if l == line {
			return true
		}
	}
	return false
}

// edit changes the file in place under the write lock that multipath itself
// takes (fcntl on the whole file, libmultipath/file.c, lock_file). A rename
// would pull the file away from under a process that waits for that lock.
func (a *Allowed) edit(ctx context.Context, wwid string, change func(content, line string) string) error {
	if !wwidForm.MatchString(wwid) {
		return fmt.Errorf("%q is no WWID", wwid)
	}
	file := a.file()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("cannot edit %s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot edit %s: %w", file, err)
	}
	defer f.Close() // releases the lock
	if err := lock(ctx, f); err != nil {
		return fmt.Errorf("cannot lock %s: %w", file, err)
	}
	before, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	content := string(before)
	if content != "" && !strings.HasSuffix(content, "\n") {
		content += "\n" // an editor left it away; the next line must not join this one
	}
	after := change(content, "/"+wwid+"/\n")
	if after == content {
		return nil
	}
	if _, err := f.WriteAt([]byte(after), 0); err != nil {
		return fmt.Errorf("cannot write %s: %w", file, err)
	}
	return f.Truncate(int64(len(after)))
}

// lockPatience bounds the wait for the lock, as multipath's own does
// (libmultipath/file.c, FILE_TIMEOUT).
const lockPatience = 30 * time.Second

func lock(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	// An open file description lock conflicts with fcntl locks of other
	// processes and, unlike those, is not lost when another descriptor of the
	// same file is closed here.
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if err == nil || !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
