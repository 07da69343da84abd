// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/test/hands"
)

// floorSession is a session of the floor, by its directory in sysfs, with the SCSI
// host that carries its LUNs.
type floorSession struct{ dir, host string }

// iscsiadm logs in by, or out of, all records of f's iface with one process.
func iscsiadm(ctx context.Context, f hands.Floor, what string) error {
	_, err := command.Runner{}.Run(ctx, "iscsiadm", "-m", "node", "-T", f.Target, "-I", f.Iface, what)
	return err
}

// floorSessions returns the sessions of f's iface, one for each portal.
func floorSessions(f hands.Floor) ([]floorSession, error) {
	dirs, err := filepath.Glob("/sys/class/iscsi_session/session*")
	if err != nil {
		return nil, err
	}
	var list []floorSession
	for _, dir := range dirs {
		iface, err := os.ReadFile(filepath.Join(dir, "ifacename"))
		if err != nil || strings.TrimSpace(string(iface)) != f.Iface {
			continue // gone, or another's
		}
		device, err := filepath.EvalSymlinks(filepath.Join(dir, "device")) // …/host2/session1
		if err != nil {
			return nil, err
		}
		list = append(list, floorSession{device, strings.TrimPrefix(filepath.Base(filepath.Dir(device)), "host")})
	}
	if len(list) != len(f.Portals) {
		return nil, fmt.Errorf("there are %d sessions of iface %s instead of %d", len(list), f.Iface, len(f.Portals))
	}
	return list, nil
}

// lun is the directory of a LUN's SCSI device.
func (s floorSession) lun(n uint16) string {
	return filepath.Join(s.dir, "target"+s.host+":0:0", fmt.Sprintf("%s:0:0:%d", s.host, n))
}

// scan makes the kernel look for a LUN and returns the directory of its disk.
func (s floorSession) scan(ctx context.Context, n uint16) (string, error) {
	if err := os.WriteFile("/sys/class/scsi_host/host"+s.host+"/scan", fmt.Appendf(nil, "0 0 %d", n), 0); err != nil {
		return "", err
	}
	for {
		// The kernel makes the disk a moment after the device (drivers/scsi/sd.c probes
		// asynchronously).
		disks, err := os.ReadDir(filepath.Join(s.lun(n), "block"))
		if err == nil && len(disks) == 1 {
			return filepath.Join(s.lun(n), "block", disks[0].Name()), nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("no disk of LUN %d on host%s: %w", n, s.host, ctx.Err())
		}
		time.Sleep(tick)
	}
}

// remove deletes the disk of a LUN.
func (s floorSession) remove(n uint16) error {
	return os.WriteFile(filepath.Join(s.lun(n), "delete"), []byte("1"), 0)
}

func readNumbers(file, format string, numbers ...any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(string(text), format, numbers...); err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	return nil
}
