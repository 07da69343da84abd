// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mallee-io/mallee/internal/command"
)

//go:embed lvmlocal.conf
var lvmConf []byte

const lvmFile = "/etc/lvm/lvmlocal.conf"

// ourVolumes is in every filter that keeps LVM from volumes.
const ourVolumes = "dm-uuid-mpath-360014056d6c6c65"

// excludeFromLVM keeps LVM's own commands from volumes by a global filter.
// lvmlocal.conf overrides lvm.conf, so it is written only where no filter is set
// at all: one that an admin has set is left as it is, with a warning.
func (h *Host) excludeFromLVM(ctx context.Context) error {
	have, err := os.ReadFile(h.path(lvmFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.HasPrefix(have, []byte("# Written by malleed")) {
		filter, err := h.lvmFilter(ctx)
		if errors.Is(err, command.ErrNotFound) {
			return nil // no LVM, nothing to keep out
		}
		if err != nil {
			return err
		}
		if bytes.Contains(filter, []byte(ourVolumes)) {
			return nil
		}
		if len(filter) > 0 || !onlyComments(have) {
			h.Log.WarnContext(ctx, "LVM's settings are the admin's own: add the filter of docs/how-to/lvm.md", "file", lvmFile)
			return nil
		}
	}
	_, err = h.write(lvmFile, lvmConf)
	return err
}

// lvmFilter returns the global filter that LVM uses now, or nothing.
func (h *Host) lvmFilter(ctx context.Context) ([]byte, error) {
	out, err := h.Run.Run(ctx, "lvmconfig", "devices/global_filter")
	// 5 is lvm's exit code for what is not there (ECMD_FAILED).
	if command.ExitCode(err) == 5 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot ask LVM for its filter: %w", err)
	}
	return out, nil
}

// onlyComments reports whether a file sets nothing: Debian's has comments and an
// empty section.
func onlyComments(content []byte) bool {
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("local {")) && !bytes.Equal(line, []byte("}")) {
			return false
		}
	}
	return true
}
