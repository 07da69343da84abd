// SPDX-License-Identifier: Apache-2.0

// Package host sets up what a node needs beside malleed: multipathd's settings
// for our SAN, udev rules and LVM's filter that keep the host out of what is
// inside a volume, and the checks that the daemons it stands on are there.
//
// It writes files of its own, only when their content differs, and LVM's
// lvmlocal.conf where an admin has said nothing about filters. Of open-iscsi's
// records it removes those of ours that would log in at boot.
package host

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"text/template"
	"time"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

//go:embed multipath.conf
var multipathConf string

// pollingInterval is multipathd's default, in seconds: no_path_retry counts in it.
const pollingInterval = 5

// Host is this machine. Its methods are safe for concurrent use.
type Host struct {
	Run       command.Runner
	Multipath multipath.Client
	Log       *slog.Logger
	Root      string // replaces / in tests

	unread atomic.Bool // multipathd's settings are written, and it would not read them
}

// Prepare writes the files and makes udev and multipathd read them. noPath
// bounds how long I/O to a volume waits while it has no path, unless a bound was
// set before: that one stays until SetNoPathTimeout. It fails, with the next
// step, when multipathd does not run.
func (h *Host) Prepare(ctx context.Context, noPath time.Duration) error {
	if err := h.writeRules(ctx); err != nil {
		return err
	}
	if err := h.excludeFromLVM(ctx); err != nil {
		return err
	}
	if err := h.logInToNothing(ctx); err != nil {
		return err
	}
	if retries, ok := h.retries(); ok {
		noPath = time.Duration(retries) * pollingInterval * time.Second
	}
	if _, err := h.writeMultipath(noPath); err != nil {
		return err
	}
	// Also unchanged: multipathd may have started before the file was there.
	return h.reconfigure(ctx)
}

// ourTargets begins the name that a storage processor gives its target.
const ourTargets = "iqn.2026-11.io.mallee:"

// logInToNothing sees to it that open-iscsi's boot services log in to no volume:
// its disks would be in use before anybody has proved what they are.
func (h *Host) logInToNothing(ctx context.Context) error {
	initiator := openiscsi.Initiator{Etc: h.path("/etc/iscsi"), Lock: h.path("/run/lock/iscsi")}
	removed, foreign, err := initiator.PrepareBoot(ctx, ourTargets)
	for _, file := range removed {
		h.Log.WarnContext(ctx, "node record removed: it would have logged in at boot", "file", file)
	}
	for _, file := range foreign {
		h.Log.WarnContext(ctx, "a node record logs in to a volume's target at boot: set its node.startup and node.conn[0].startup to manual", "file", file)
	}
	return err
}

// SetNoPathTimeout bounds how long I/O to a volume waits while it has no path,
// in whole intervals of multipathd's poll. Volumes that are attached take the
// new bound at once.
func (h *Host) SetNoPathTimeout(ctx context.Context, noPath time.Duration) error {
	changed, err := h.writeMultipath(noPath)
	if err != nil || !changed && !h.unread.Load() {
		return err
	}
	h.Log.InfoContext(ctx, "multipathd's settings written", "nopath_timeout", noPath)
	return h.reconfigure(ctx)
}

const multipathFile = "/etc/multipath/conf.d/mallee.conf"

func (h *Host) writeMultipath(noPath time.Duration) (changed bool, err error) {
	retries := max(1, int((noPath+pollingInterval*time.Second-1)/(pollingInterval*time.Second)))
	var conf bytes.Buffer
	t := template.Must(template.New("multipath.conf").Parse(multipathConf))
	if err := t.Execute(&conf, struct{ Retries int }{retries}); err != nil {
		return false, err
	}
	return h.write(multipathFile, conf.Bytes())
}

var retriesLine = regexp.MustCompile(`(?m)^\s*no_path_retry (\d+)$`)

// retries returns the bound that was written last.
func (h *Host) retries() (int, bool) {
	conf, err := os.ReadFile(h.path(multipathFile))
	if err != nil {
		return 0, false
	}
	match := retriesLine.FindSubmatch(conf)
	if match == nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(match[1]))
	return n, err == nil
}

func (h *Host) reconfigure(ctx context.Context) error {
	err := h.Multipath.Reconfigure(ctx)
	h.unread.Store(err != nil)
	switch {
	case errors.Is(err, multipath.ErrNotRunning):
		return fmt.Errorf("%w: start it with systemctl start multipathd", err)
	case err != nil:
		return fmt.Errorf("cannot make multipathd read its settings anew: %w", err)
	}
	return nil
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
	if err := writeSynced(temp, content); err != nil {
		return false, err
	}
	return true, os.Rename(temp, file)
}

// writeSynced writes a file whose content is on disk when it returns: renamed
// without that, it could be empty after a power failure.
func writeSynced(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func (h *Host) path(file string) string { return filepath.Join("/", h.Root, file) }
