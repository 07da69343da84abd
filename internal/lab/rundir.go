// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/mallee-io/mallee/internal/lab/guest"
)

// The run directory:
//
//	boot/            first root of every machine: init, NAME.json, mount points, modules
//	bin/             /usr/local/bin of every machine
//	memory/          tmpfs, memory of the machines
//	disks/           a tmpfs, if there is room for one: NAME/disk0 and so on
//	NAME/console     what the machine's kernel and init print
//	NAME/log/        its /var/log
//
// With qemu there are initramfs, which is boot/ packed, and links to the kernel
// (vmlinuz), to its modules (modules/) and to the shared root file system (rootfs/).
func prepareRunDir(ctx context.Context, o Options, b backend) (string, error) {
	rootFS, err := RootFS(ctx, o.Log, o.Packages...)
	if err != nil {
		return "", err
	}
	k, err := b.kernel(ctx, rootFS, o.Log)
	if err != nil {
		return "", err
	}
	dir, err := emptyRunDir(o.RunDir)
	if err != nil {
		return "", err
	}
	boot, bin := bootDir(dir), binDir(dir)
	dirs := []string{boot, bin, memoryDir(dir), disksDir(dir)}
	for _, mountPoint := range guest.BootDirs() {
		dirs = append(dirs, filepath.Join(boot, mountPoint))
	}
	for _, m := range o.Topology.Machines {
		dirs = append(dirs, filepath.Join(dir, m.Name, "log"))
	}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", err
		}
	}
	for _, binary := range o.Binaries {
		if err := copyFile(binary, filepath.Join(bin, filepath.Base(binary))); err != nil {
			return "", err
		}
	}
	if err := provideInit(ctx, o.Init, filepath.Join(boot, "init")); err != nil {
		return "", err
	}
	var bootModules []string
	for _, file := range k.boot {
		name := filepath.Join(guest.BootModules, filepath.Base(file))
		bootModules = append(bootModules, name)
		if err := copyFile(file, filepath.Join(boot, name)); err != nil {
			return "", err
		}
	}
	traits := b.traits()
	for i, m := range o.Topology.Machines {
		config := guest.Config{
			Hostname:    m.Name,
			MachineID:   m.machineID(),
			Initiator:   "iqn.2025-01.io.mallee.lab:" + m.Name,
			BootModules: bootModules,
			Modules:     slices.Concat(traits.modules, m.Modules),
			Network:     guestNetwork(m, controlAddress(i), traits.nic),
			Network6:    guestNetwork6(m),
			Agent:       agentAddress(controlAddress(i)),
			RootFS:      b.share(rootShare, rootFS),
			Binaries:    b.share(binShare, bin),
			Log:         b.share(logShare, filepath.Join(dir, m.Name, "log")),
		}
		if k.modules != "" {
			modules := b.share(modulesShare, k.modules)
			config.KernelModules = &modules
		}
		if err := writeJSON(filepath.Join(boot, m.Name+".json"), config); err != nil {
			return "", err
		}
	}
	return dir, b.pack(dir, rootFS, k)
}

func bootDir(runDir string) string { return filepath.Join(runDir, "boot") }
func binDir(runDir string) string  { return filepath.Join(runDir, "bin") }

// emptyRunDir empties our own directory and refuses to empty another's.
func emptyRunDir(dir string) (string, error) {
	if dir == "" {
		cache, err := cacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(cache, "run")
		return dir, os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return "", fmt.Errorf("%s is not empty", dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return filepath.Abs(dir)
}

// provideInit puts a mallee-lab that can run without any library at path.
func provideInit(ctx context.Context, from, path string) error {
	if from == "" {
		goTool, err := tool("go")
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		build := exec.CommandContext(ctx, goTool, "build", "-o", path, "github.com/mallee-io/mallee/cmd/mallee-lab")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build mallee-lab: %w: %s", err, out)
		}
		return nil
	}
	if err := checkStatic(from); err != nil {
		return err
	}
	return copyFile(from, path)
}

func checkStatic(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically and cannot be init: build it with CGO_ENABLED=0", path)
		}
	}
	return nil
}

// copyFile copies an executable.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
