// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What the host keeps when the disks are in its memory, and the least that is
// worth having there, in bytes.
const (
	hostReserve  = 2 * gigabyte
	leastForDisk = 3 * gigabyte
)

// makeDisks makes the machines' disks: sparse files, which cost what is written to
// them. They are in memory where the host has enough of it: a machine's flushes go
// to its host's disk else, and one that is slow for a minute is to the machines a
// storage processor that has hung.
func makeDisks(runDir string, machines []MachineSpec) error {
	room, err := memoryForDisks(machines)
	if err != nil {
		return err
	}
	if room >= leastForDisk {
		if err := unix.Mount("none", disksDir(runDir), "tmpfs", 0, fmt.Sprintf("size=%d", room)); err != nil {
			return fmt.Errorf("cannot mount a tmpfs: %w", err)
		}
	}
	for _, m := range machines {
		if err := os.MkdirAll(filepath.Join(disksDir(runDir), m.Name), 0o755); err != nil {
			return err
		}
		for i, size := range m.Disks {
			file, err := os.Create(diskPath(runDir, m.Name, i))
			if err != nil {
				return err
			}
			if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// memoryForDisks returns how many bytes of memory are left once all machines and
// the host have theirs.
func memoryForDisks(machines []MachineSpec) (int64, error) {
	// Free memory alone says little: most of it is cache, which gives way.
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	room, err := available(string(text))
	room -= hostReserve
	for _, m := range machines {
		room -= int64(m.MemoryMB) << 20
	}
	return room, err
}

// available returns MemAvailable of /proc/meminfo (proc_meminfo(5)) in bytes.
func available(meminfo string) (int64, error) {
	for line := range strings.Lines(meminfo) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo does not tell MemAvailable")
}

// unmountDisks frees the memory that disks are in, if they are.
func unmountDisks(runDir string) error {
	err := unix.Unmount(disksDir(runDir), unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // no mount
	}
	return err
}

func disksDir(runDir string) string { return filepath.Join(runDir, "disks") }

func diskPath(runDir, machine string, i int) string {
	return filepath.Join(disksDir(runDir), machine, fmt.Sprintf("disk%d", i))
}
