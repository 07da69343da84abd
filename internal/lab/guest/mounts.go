// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Mount points in the boot directory, which is read-only to the machine: the
// lab makes them (see BootDirs).
const (
	lower = "/lower" // the shared root file system
	upper = "/upper" // tmpfs for what this machine changes
	root  = "/root"  // the overlay of both
)

// BootDirs are the directories the boot directory must hold.
func BootDirs() []string { return []string{lower, upper, root, "/dev", "/proc"} }

type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func (m mount) do() error {
	if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
	}
	return nil
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

// mountRoot makes the overlay and moves the machine into it.
func mountRoot(c Config) error {
	err := mountAll([]mount{
		{"none", lower, "hostfs", unix.MS_RDONLY, c.RootFS},
		{"none", upper, "tmpfs", 0, "mode=0755"},
	})
	if err != nil {
		return err
	}
	if err := loadOverlay(); err != nil {
		return err
	}
	for _, dir := range []string{upper + "/data", upper + "/work"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s/data,workdir=%s/work", lower, upper, upper)
	if err := (mount{"none", root, "overlay", 0, layers}).do(); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	// With both arguments "." the old root ends up on top of the new one,
	// and no directory to keep it in is needed.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("umount old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := os.MkdirAll("/dev", 0o755); err != nil {
		return err
	}
	if err := (mount{"none", "/dev", "devtmpfs", unix.MS_NOSUID, ""}).do(); err != nil {
		return err
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	err = mountAll([]mount{
		{"none", "/proc", "proc", 0, ""},
		{"none", "/sys", "sysfs", 0, ""},
		{"none", "/dev/pts", "devpts", 0, "ptmxmode=0666"},
		{"none", "/dev/shm", "tmpfs", 0, ""},
		{"none", "/run", "tmpfs", 0, "mode=0755"},
		{"none", "/tmp", "tmpfs", 0, ""},
		{"none", "/usr/local/bin", "hostfs", unix.MS_RDONLY, c.Binaries},
		{"none", "/var/log", "hostfs", 0, c.Log},
	})
	if err != nil {
		return err
	}
	// systemd makes it elsewhere; iscsiadm and LVM lock there.
	return os.Mkdir("/run/lock", 0o755)
}

// loadOverlay loads the overlay module, which modprobe cannot do: it lies in
// the root file system that is mounted with its help.
func loadOverlay() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	release := unix.ByteSliceToString(name.Release[:])
	path := filepath.Join(lower, "lib/modules", release, "kernel/fs/overlayfs/overlay.ko")
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.FinitModule(int(file.Fd()), "", 0); err != nil {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}
