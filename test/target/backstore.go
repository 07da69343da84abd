// SPDX-License-Identifier: Apache-2.0

package target

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// LIO keeps backstores below a host bus adapter of their kind.
const (
	files = "fileio_0"
	disks = "iblock_0"
)

const (
	// memory is a tmpfs.
	memory = "/run/target"
	sector = 512
)

// makeBackstores makes them all before LIO opens the first: one process for all
// slices of the disk.
func (l *lio) makeBackstores(ctx context.Context, w wanted) error {
	if err := os.MkdirAll(memory, 0o700); err != nil {
		return err
	}
	var slices []string
	for _, b := range w.Backstores {
		if b.SizeBytes%sector != 0 || b.SizeBytes == 0 {
			return fmt.Errorf("backstore %s: %d bytes are no whole blocks", b.Name, b.SizeBytes)
		}
		if b.Slow {
			slices = append(slices, l.slice(w.Disk, b))
		}
	}
	if slices != nil {
		if err := dmsetup(ctx, "create", "--concise", strings.Join(slices, ";")); err != nil {
			return err
		}
	}
	for _, b := range w.Backstores {
		if err := l.makeBackstore(b); err != nil {
			return fmt.Errorf("cannot make backstore %s: %w", b.Name, err)
		}
	}
	return nil
}

// slice returns the next slice of the disk in dmsetup's concise form.
func (l *lio) slice(disk string, b Backstore) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, sectors := l.next, b.SizeBytes/sector
	l.next += sectors
	return fmt.Sprintf("%s,,,rw,0 %d linear %s %d", b.Name, sectors, disk, first)
}

func (l *lio) makeBackstore(b Backstore) error {
	core, file := files, filepath.Join(memory, b.Name)
	control := fmt.Sprintf("fd_dev_name=%s,fd_dev_size=%d", file, b.SizeBytes)
	if b.Slow {
		core, file = disks, filepath.Join("/dev/mapper", b.Name)
		control = "udev_path=" + file
	}
	if err := b.fill(file); err != nil {
		return err
	}
	dir := l.path("core", core, b.Name)
	if err := mkdir(filepath.Dir(dir), dir); err != nil {
		return err
	}
	// The identity before the device is opened: nobody shall see another.
	return write(
		dir,
		attribute{"wwn/vendor_id", cmp.Or(b.Vendor, "MALLEE")},
		attribute{"wwn/product_id", cmp.Or(b.Product, "volume")},
		attribute{"wwn/vpd_unit_serial", b.Serial},
		attribute{"control", control},
		attribute{"enable", "1"},
	)
}

// fill writes the text to each block. LIO does not read by the page cache of a
// disk: what is written must have left it.
func (b Backstore) fill(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if !b.Slow {
		if err := f.Truncate(int64(b.SizeBytes)); err != nil {
			return err
		}
	}
	if b.Text == "" {
		return nil
	}
	block := make([]byte, sector)
	copy(block, b.Text)
	chunk := bytes.Repeat(block, 2048)
	for left := b.SizeBytes; left > 0; {
		n := min(left, uint64(len(chunk)))
		if _, err := f.Write(chunk[:n]); err != nil {
			return err
		}
		left -= n
	}
	return f.Sync()
}

// suspend makes what is sent to a slow backstore wait. It does not wait itself, for
// what has been sent already.
func suspend(ctx context.Context, backstore string) error {
	return dmsetup(ctx, "suspend", "--noflush", "--nolockfs", backstore)
}

func resume(ctx context.Context, backstore string) error { return dmsetup(ctx, "resume", backstore) }

// dmsetup runs dmsetup(8).
func dmsetup(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "dmsetup", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dmsetup %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}
