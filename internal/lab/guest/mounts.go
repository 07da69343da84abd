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

// BootModules is the directory of Config.BootModules.
const BootModules = "/modules"

// BootDirs are the directories the boot directory must hold.
func BootDirs() []string { return []string{lower, upper, root, BootModules, "/dev", "/proc"} }

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

// at is the mount of a share.
func (s Share) at(target string) mount {
	m := mount{s.Source, target, s.FSType, unix.MS_RDONLY, s.Data}
	if s.Write {
		m.flags = 0
	}
	return m
}

// mountRoot makes the overlay and moves the machine into it.
func mountRoot(c Config) error {
	err := mountAll([]mount{
		c.RootFS.at(lower),
		{"none", upper, "tmpfs", 0, "mode=0755"},
	})
	if err != nil {
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
	// As switch_root(8) does: an initramfs cannot be pivoted away from.
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to /: %w", root, err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
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
		c.Binaries.at("/usr/local/bin"),
		c.Log.at("/var/log"),
	})
	if err != nil {
		return err
	}
	if err := mountModules(c); err != nil {
		return err
	}
	// systemd makes it elsewhere; iscsiadm and LVM lock there.
	return os.Mkdir("/run/lock", 0o755)
}

// mountModules puts the kernel's modules where modprobe looks for them.
func mountModules(c Config) error {
	if c.KernelModules == nil {
		return nil
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return c.KernelModules.at(dir).do()
}

// loadBootModules does what modprobe cannot do: it lies in the root file system that
// is mounted with their help.
func loadBootModules(c Config) error {
	for _, path := range c.BootModules {
		if err := loadModule(path); err != nil {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	return nil
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.FinitModule(int(file.Fd()), "", 0)
}
