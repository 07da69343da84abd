// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// bootLine is a line of a node record that makes the boot services of open-iscsi
// log in ("iscsiadm -m node --loginall=automatic", and its like for onboot):
// either of the two will do.
var bootLine = regexp.MustCompile(`(?m)^\s*node\.(conn\[\d+\]\.)?startup\s*=\s*(automatic|onboot)\s*$`)

// PrepareBoot sees to it that no session of ours is logged in to at boot, before
// anybody can prove what its disks are: records of ours that somebody has made
// start by themselves are removed and returned as removed; the next login makes
// them anew. Records of others to targets that begin with prefix are returned as
// foreign, by their files.
func (in *Initiator) PrepareBoot(ctx context.Context, prefix string) (removed, foreign []string, err error) {
	err = in.locked(ctx, func() error {
		records, err := filepath.Glob(in.etc("nodes", "*", "*", "*"))
		if err != nil {
			return err
		}
		for _, file := range records {
			text, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) || err == nil && !bootLine.Match(text) {
				continue
			}
			if err != nil {
				return fmt.Errorf("cannot read a node record: %w", err)
			}
			switch target := filepath.Base(filepath.Dir(filepath.Dir(file))); {
			case strings.HasPrefix(filepath.Base(file), Prefix):
				if err := os.Remove(file); err != nil {
					return fmt.Errorf("cannot remove a node record that logs in at boot: %w", err)
				}
				removed = append(removed, file)
			case strings.HasPrefix(target, prefix):
				foreign = append(foreign, file)
			}
		}
		return nil
	})
	return removed, foreign, err
}
