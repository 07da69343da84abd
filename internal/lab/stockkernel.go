// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// kernelPackage depends on the package of the suite's newest kernel.
const kernelPackage = "linux-image-amd64"

// kernelLayout is the version of what this file keeps of it. Raise it to have
// everybody's fetched anew.
const kernelLayout = 1

// rootModules are what it takes to mount the machines' root.
var rootModules = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay"}

// stockKernel returns Debian's own kernel. It is unpacked into the cache when it is
// not there, which takes seconds and the network, and never installed on the host.
// Like the root file system, it then stays what it was.
func stockKernel(ctx context.Context, progress io.Writer) (kernel, error) {
	cache, err := cacheDir()
	if err != nil {
		return kernel{}, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", kernelLayout, suite, kernelPackage))
	dir := filepath.Join(cache, fmt.Sprintf("kernel-%x", sum[:6]))
	if err := provideKernel(ctx, dir, progress); err != nil {
		return kernel{}, fmt.Errorf("cannot get Debian's kernel: %w", err)
	}
	return unpackedKernel(dir)
}

func provideKernel(ctx context.Context, dir string, progress io.Writer) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	lock, err := acquireLock(buildLock, progress)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(dir); err == nil {
		return nil // unpacked while we waited
	}
	fmt.Fprintf(progress, "lab: unpacking %s, a few seconds\n", kernelPackage)
	return unpackKernel(ctx, dir)
}

// unpackKernel unpacks beside dir and renames, so that dir is never half-made.
func unpackKernel(ctx context.Context, dir string) error {
	mmdebstrap, err := tool("mmdebstrap")
	if err != nil {
		return err
	}
	unpacking := dir + ".new"
	if err := os.RemoveAll(unpacking); err != nil { // of one that was killed
		return err
	}
	defer os.RemoveAll(unpacking)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	var output bytes.Buffer
	// It unpacks what the package depends on, too, and configures nothing.
	cmd := exec.CommandContext(ctx, mmdebstrap, "--variant=extract", "--include="+kernelPackage, suite, unpacking)
	cmd.Stdout, cmd.Stderr = &output, &output
	// Killed outright, it would leave its mounts behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, &output)
	}
	release, err := kernelRelease(unpacking)
	if err != nil {
		return err
	}
	// The package's script would have done it.
	if _, err := hostCommand(ctx, "", "chroot", unpacking, "/sbin/depmod", release); err != nil {
		return err
	}
	return os.Rename(unpacking, dir)
}

func unpackedKernel(dir string) (kernel, error) {
	release, err := kernelRelease(dir)
	if err != nil {
		return kernel{}, err
	}
	modules := filepath.Join(dir, "lib/modules", release)
	dependencies, err := os.ReadFile(filepath.Join(modules, "modules.dep"))
	if err != nil {
		return kernel{}, err
	}
	k := kernel{image: filepath.Join(dir, "boot/vmlinuz-"+release), modules: modules}
	order, err := loadOrder(string(dependencies), rootModules)
	for _, file := range order {
		k.boot = append(k.boot, filepath.Join(modules, file))
	}
	return k, err
}

// kernelRelease is the release of the one kernel that is unpacked below dir.
func kernelRelease(dir string) (string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "lib/modules"))
	if err != nil {
		return "", err
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("%s has the modules of %d kernels", dir, len(entries))
	}
	return entries[0].Name(), nil
}
