// SPDX-License-Identifier: Apache-2.0

// Package host sets up what a node needs beside malleed: multipathd's settings
// for our SAN, udev rules and LVM's filter that keep the host out of what is
// inside a volume, and the checks that the daemons it stands on are there.
//
// It writes files of its own only, and only when their content differs.
package host

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/multipath"
)

var (
	//go:embed multipath.conf
	multipathConf string
	//go:embed udev.rules
	udevRules []byte
	//go:embed lvmlocal.conf
	lvmConf []byte
)

// pollingInterval is multipathd's default, in seconds: no_path_retry counts in it.
const pollingInterval = 5

// Host is this machine. Its methods are safe for concurrent use.
type Host struct {
	Run       command.Runner
	Multipath multipath.Client
	Log       *slog.Logger
	Root      string // replaces / in tests
}

// Prepare writes the files and makes udev and multipathd read them. noPath
// bounds how long I/O to a volume waits while it has no path. It fails, with the
// next step, when multipathd does not run.
func (h *Host) Prepare(ctx context.Context, noPath time.Duration) error {
	changed, err := h.write("/etc/udev/rules.d/57-mallee.rules", udevRules)
	if err != nil {
		return err
	}
	if changed {
		if _, err := h.Run.Run(ctx, "udevadm", "control", "--reload"); err != nil {
			return fmt.Errorf("cannot make udev read its rules anew: %w", err)
		}
	}
	if err := h.excludeFromLVM(ctx); err != nil {
		return err
	}
	return h.SetNoPathTimeout(ctx, noPath)
}

// SetNoPathTimeout bounds how long I/O to a volume waits while it has no path,
// in whole intervals of multipathd's poll. Volumes that are attached take the
// new bound at once.
func (h *Host) SetNoPathTimeout(ctx context.Context, noPath time.Duration) error {
	var conf bytes.Buffer
	retries := max(1, int((noPath+(pollingInterval-1)*time.Second)/(pollingInterval*time.Second)))
	t := template.Must(template.New("multipath.conf").Parse(multipathConf))
	if err := t.Execute(&conf, struct{ Retries int }{retries}); err != nil {
		return err
	}
	changed, err := h.write("/etc/multipath/conf.d/mallee.conf", conf.Bytes())
	if err != nil {
		return err
	}
	// Also unchanged: multipathd may have started before the file was there.
	if err := h.Multipath.Reconfigure(ctx); err != nil {
		if errors.Is(err, multipath.ErrNotRunning) {
			return fmt.Errorf("%w: start it with systemctl start multipathd", err)
		}
		return fmt.Errorf("cannot make multipathd read its settings anew: %w", err)
	}
	if changed {
		h.Log.InfoContext(ctx, "multipathd's settings written", "no_path_retry", retries)
	}
	return nil
}

// excludeFromLVM keeps LVM's own commands from volumes. An admin's file is left
// as it is.
func (h *Host) excludeFromLVM(ctx context.Context) error {
	const file = "/etc/lvm/lvmlocal.conf"
	have, err := os.ReadFile(h.path(file))
	if err == nil && !bytes.HasPrefix(have, []byte("# Written by malleed")) && !onlyComments(have) {
		if !bytes.Contains(have, []byte("/dev/mallee/")) {
			h.Log.WarnContext(ctx, "LVM's settings are the admin's own: add the filter of docs/how-to/lvm.md", "file", file)
		}
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = h.write(file, lvmConf)
	return err
}

func onlyComments(content []byte) bool {
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("local {")) && !bytes.Equal(line, []byte("}")) {
			return false
		}
	}
	return true
}

// write makes file have content, and tells whether it had another.
func (h *Host) write(file string, content []byte) (changed bool, err error) {
	file = h.path(file)
	if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, content) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, err
	}
	temp := file + ".mallee-new" // udev and multipathd read *.rules and *.conf only
	if err := os.WriteFile(temp, content, 0o644); err != nil {
		return false, err
	}
	return true, os.Rename(temp, file)
}

func (h *Host) path(file string) string { return filepath.Join("/", h.Root, file) }
