// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock files in the cache directory, locked with flock(2).
const (
	labLock   = "lab.lock"    // a lab runs; holds the PID of its first process
	buildLock = "rootfs.lock" // a root file system is being built
)

func openLock(name string) (*os.File, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o644)
}

// acquireLock waits until nobody else holds a lock. It is held until the file
// is closed, or the process ends.
func acquireLock(name string, progress io.Writer) (*os.File, error) {
	file, err := openLock(name)
	if err != nil {
		return nil, err
	}
	err = flock(file, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := io.ReadAll(file) // for the message alone
		fmt.Fprintf(progress, "lab: waiting for process %s, which holds %s\n", bytes.TrimSpace(holder), file.Name())
		err = flock(file, unix.LOCK_EX)
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", file.Name(), err)
	}
	return file, nil
}

// lockHolder is the PID of the lab that runs.
func lockHolder() (int, error) {
	file, err := openLock(labLock)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if err := flock(file, unix.LOCK_SH|unix.LOCK_NB); err == nil {
		return 0, errors.New("no lab is running: start one with `mallee-lab up`")
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, errors.New("the lab is just starting: try again")
	}
	return pid, nil
}

func flock(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}
