// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// debianPackage names the package that has a tool of the host.
var debianPackage = map[string]string{
	"chroot":             "coreutils",
	"go":                 "golang",
	"ip":                 "iproute2",
	"linux.uml":          "user-mode-linux",
	"mmdebstrap":         "mmdebstrap",
	"nsenter":            "util-linux",
	"qemu-system-x86_64": "qemu-system-x86",
}

// tool returns the path of a tool of the host.
func tool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is not installed: apt-get install %s", name, debianPackage[name])
	}
	return path, err
}

// hostCommand runs a tool on the host and returns its output. It takes a
// minute at the most, whatever ctx says.
func hostCommand(ctx context.Context, stdin, name string, args ...string) (string, error) {
	path, err := tool(name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// cacheDir is where the lab keeps what outlives it, and made when missing.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find the cache directory: %w", err)
	}
	dir := filepath.Join(cache, "mallee", "lab")
	return dir, os.MkdirAll(dir, 0o755)
}
