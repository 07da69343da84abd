// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/lio"
	"github.com/mallee-io/mallee/internal/lvm"
)

//go:embed udev.rules
var udevRules string

// rulesFile sorts after 56-lvm.rules and before 60-kpartx.rules and
// 60-persistent-storage-dm.rules.
const rulesFile = "/etc/udev/rules.d/57-mallee-sp.rules"

// PrepareHost makes the machine fit for a storage processor: LIO is loaded,
// configfs is mounted, and udev is told to keep out of the volumes of group. It
// changes nothing that is right already. It needs root.
func PrepareHost(ctx context.Context, run command.Runner, group string) error {
	if !lvm.ValidName(group) {
		return fmt.Errorf("%q cannot name a volume group", group)
	}
	if _, err := run.Run(ctx, "modprobe", "--all", "configfs", "target_core_iblock", "iscsi_target_mod", "dm_thin_pool"); err != nil {
		return fmt.Errorf("cannot load LIO: %w", err)
	}
	if _, err := os.Stat(lio.Root); errors.Is(err, fs.ErrNotExist) {
		// Under systemd it is mounted as soon as its module is loaded.
		if err := unix.Mount("configfs", filepath.Dir(lio.Root), "configfs", 0, ""); err != nil {
			return fmt.Errorf("cannot mount configfs: %w", err)
		}
	}
	changed, err := writeRules(rulesFile, group)
	if err != nil {
		return fmt.Errorf("cannot tell udev to keep out of volumes: %w", err)
	}
	if !changed {
		return nil
	}
	if _, err := run.Run(ctx, "udevadm", "control", "--reload"); err != nil {
		return fmt.Errorf("cannot tell udev to keep out of volumes: %w", err)
	}
	return nil
}

// writeRules writes the rules for group unless the file has them, and reports
// whether it wrote.
func writeRules(file, group string) (bool, error) {
	rules := strings.ReplaceAll(udevRules, "@GROUP@", group)
	if have, err := os.ReadFile(file); err == nil && string(have) == rules {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, err
	}
	return true, renameio.WriteFile(file, []byte(rules), 0o644, renameio.IgnoreUmask())
}
