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
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const suite = "bookworm"

// layout is the version of what this file does to the root file system beyond
// installing packages. Raise it to have everybody's built anew.
const layout = 2

// packages are Debian's packages in every machine.
var packages = []string{
	"open-iscsi", "multipath-tools", "kpartx", "lvm2", "thin-provisioning-tools", "udev", "kmod",
	"iproute2", "procps", "sg3-utils", "fio", "mdadm", "gdisk", "iptables", "iputils-ping",
	"bsdextrautils",
}

// RootFS returns the directory of the root file system that all machines
// share, and builds it when it is not in the cache, which takes about a minute
// and the network. One with extra packages is another, beside it. The directory
// must not be written to.
func RootFS(ctx context.Context, progress io.Writer, extra ...string) (string, error) {
	version, err := umlVersion(ctx)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	packages := slices.Concat(packages, extra)
	dir := filepath.Join(cache, "rootfs-"+rootFSKey(packages, version))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	lock, err := acquireLock(buildLock, progress)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // built while we waited
	}
	fmt.Fprintln(progress, "lab: building the lab's root file system, about a minute")
	if err := buildRootFS(ctx, dir, packages, version); err != nil {
		return "", fmt.Errorf("cannot build the lab's root file system: %w", err)
	}
	return dir, nil
}

func rootFSKey(packages []string, version string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s", layout, suite, version, strings.Join(packages, " ")))
	return fmt.Sprintf("%x", sum[:6])
}

// buildRootFS builds beside dir and renames, so that dir is never half-made.
func buildRootFS(ctx context.Context, dir string, packages []string, version string) error {
	mmdebstrap, err := tool("mmdebstrap")
	if err != nil {
		return err
	}
	building := filepath.Join(filepath.Dir(dir), "building")
	if err := os.RemoveAll(building); err != nil { // of one that was killed
		return err
	}
	defer os.RemoveAll(building)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	root := filepath.Join(building, "root")
	if err := os.Mkdir(building, 0o755); err != nil {
		return err
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, mmdebstrap, "--variant=minbase", "--include="+strings.Join(packages, ","), suite, root)
	cmd.Stdout, cmd.Stderr = &output, &output
	// Killed outright, it would leave its mounts behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, &output)
	}
	// What iptables uses otherwise is nf_tables of the IPv4 family, which UML lacks.
	_, err = hostCommand(ctx, "", "chroot", root, "update-alternatives", "--set", "iptables", "/usr/sbin/iptables-legacy")
	if err != nil {
		return err
	}
	modules := filepath.Join(root, "lib/modules", version)
	if err := os.CopyFS(modules, os.DirFS(filepath.Join("/usr/lib/uml/modules", version))); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// umlVersion is the version of the UML kernel, and of its modules.
func umlVersion(ctx context.Context) (string, error) {
	out, err := hostCommand(ctx, "", "linux.uml", "--version")
	return strings.TrimSpace(out), err
}
