// SPDX-License-Identifier: Apache-2.0

package block

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/sysfs"
)

// SizeBytes returns the size of a device, a disk or a map.
func (d Devices) SizeBytes(name string) (uint64, error) {
	size, err := readSize(d.sys("class", "block", name))
	if err != nil {
		return 0, fmt.Errorf("cannot tell the size of %s: %w", name, err)
	}
	return size, nil
}

// SizeOf returns the name and the size of the device with that number.
func (d Devices) SizeOf(major, minor uint32) (name string, bytes uint64, err error) {
	dir, err := filepath.EvalSymlinks(d.sys("dev", "block", fmt.Sprintf("%d:%d", major, minor)))
	if err != nil {
		return "", 0, fmt.Errorf("cannot find device %d:%d: %w", major, minor, err)
	}
	bytes, err = readSize(dir)
	return filepath.Base(dir), bytes, err
}

// readSize reads the attribute size, which is in units of 512 bytes whatever the
// device's own blocks are (block/genhd.c, part_size_show).
func readSize(dir string) (uint64, error) {
	text, err := sysfs.Read(filepath.Join(dir, "size"))
	if err != nil {
		return 0, err
	}
	sectors, err := strconv.ParseUint(text, 10, 55)
	return sectors * 512, err
}

// Flush writes back what the page cache holds for a device and returns when the
// device has it. It blocks for as long as I/O to the device does.
func (d Devices) Flush(name string) error {
	f, err := os.Open(d.dev(name))
	if err != nil {
		return fmt.Errorf("cannot flush %s: %w", name, err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cannot flush %s: %w", name, err)
	}
	return nil
}

// Hold keeps a device open, so that nobody can remove it, until it is closed.
func (d Devices) Hold(name string) (io.Closer, error) {
	f, err := os.Open(d.dev(name))
	if err != nil {
		return nil, fmt.Errorf("cannot hold %s: %w", name, err)
	}
	return f, nil
}

// Users names who has a device open: devices stacked on it, mounts, processes.
// It is for an error message: what is not found may still be there.
func (d Devices) Users(name string) []string {
	var users []string
	holders, _ := os.ReadDir(d.sys("class", "block", name, "holders"))
	for _, h := range holders {
		users = append(users, "device "+h.Name())
	}
	number, err := os.ReadFile(d.sys("class", "block", name, "dev"))
	if err != nil {
		return users
	}
	majMin := strings.TrimSpace(string(number))
	mounts, _ := os.ReadFile(d.proc("self", "mountinfo"))
	for line := range strings.Lines(string(mounts)) {
		if field := strings.Fields(line); len(field) > 4 && field[2] == majMin {
			users = append(users, "mount "+field[4])
		}
	}
	return append(users, d.processes(majMin)...)
}

func (d Devices) processes(majMin string) []string {
	fds, _ := filepath.Glob(d.proc("[0-9]*", "fd", "*"))
	var users []string
	seen := map[string]bool{}
	for _, fd := range fds {
		pid := filepath.Base(filepath.Dir(filepath.Dir(fd)))
		if seen[pid] {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
			continue
		}
		if fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)) != majMin {
			continue
		}
		seen[pid] = true
		comm, _ := os.ReadFile(d.proc(pid, "comm"))
		users = append(users, fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(string(comm))))
	}
	return users
}

// blkpgPartition is struct blkpg_partition of include/uapi/linux/blkpg.h.
type blkpgPartition struct {
	start, length int64
	number        int32
	_             [64 + 64]byte
	_             [4]byte
}

type blkpgArg struct {
	op, flags, length int32
	data              unsafe.Pointer
}

const (
	blkpg             = 0x1269
	blkpgDelPartition = 2
)

// ForgetPartitions makes the kernel drop the partitions it has found on a disk.
// Nothing on the disk changes. What is inside a volume is the guest's, and a
// partition of a path would be a way around the map.
func (d Devices) ForgetPartitions(name string) error {
	names, err := d.Partitions(name)
	if err != nil || len(names) == 0 {
		return err
	}
	f, err := os.OpenFile(d.dev(name), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot drop the partitions of %s: %w", name, err)
	}
	defer f.Close()
	for _, partition := range names {
		n, err := strconv.Atoi(strings.TrimPrefix(partition, name))
		if err != nil {
			return fmt.Errorf("%s is no partition of %s", partition, name)
		}
		p := blkpgPartition{number: int32(n)}
		arg := blkpgArg{op: blkpgDelPartition, length: int32(unsafe.Sizeof(p)), data: unsafe.Pointer(&p)}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), blkpg, uintptr(unsafe.Pointer(&arg)))
		if errno != 0 && !errors.Is(errno, unix.ENXIO) {
			return fmt.Errorf("cannot drop %s: %w", partition, errno)
		}
	}
	return nil
}
