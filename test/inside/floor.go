// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/test/hands"
)

// tick is the pause between two looks of the floor: it is no program that waits for
// days, and a short sleep costs less than a netlink socket.
const tick = time.Millisecond

// floorPrepare writes the records that a cold attach logs in by, as iscsiadm has
// them, with nothing but what differs from its defaults.
func floorPrepare(_ context.Context, f hands.Floor) (hands.None, error) {
	iface := fmt.Sprintf("iface.iscsi_ifacename = %s\niface.transport_name = tcp\n", f.Iface)
	files := map[string]string{"/etc/iscsi/ifaces/" + f.Iface: iface}
	for _, p := range f.Portals {
		files[fmt.Sprintf("/etc/iscsi/nodes/%s/%s,%d,1/%s", f.Target, p.Addr(), p.Port(), f.Iface)] = iface + fmt.Sprintf(`node.name = %s
node.tpgt = 1
node.startup = manual
node.session.scan = manual
node.conn[0].address = %s
node.conn[0].port = %d
`, f.Target, p.Addr(), p.Port())
	}
	for file, text := range files {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return hands.None{}, err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return hands.None{}, err
		}
	}
	return hands.None{}, nil
}

func floorAttach(ctx context.Context, f hands.Floor) (r hands.Floored, err error) {
	begin := time.Now()
	if f.Cold {
		if err := iscsiadm(ctx, f, "--login"); err != nil {
			return r, err
		}
	}
	r.LoggedIn = time.Since(begin)
	sessions, err := floorSessions(f)
	if err != nil {
		return r, err
	}
	paths, sizes := make([]dm.Number, len(sessions)), make([]uint64, len(sessions))
	g, scanning := errgroup.WithContext(ctx)
	for i, s := range sessions {
		g.Go(func() error {
			disk, err := s.scan(scanning, f.LUN)
			if err != nil {
				return err
			}
			return errors.Join(
				readNumbers(filepath.Join(disk, "size"), "%d", &sizes[i]),
				readNumbers(filepath.Join(disk, "dev"), "%d:%d", &paths[i].Major, &paths[i].Minor))
		})
	}
	if err := g.Wait(); err != nil {
		return r, err
	}
	r.Scanned = time.Since(begin)
	_, err = dm.CreateMultipath(dm.Spec{Name: f.WWID, UUID: "mpath-" + f.WWID, SizeBytes: sizes[0] * 512, Paths: paths})
	r.Mapped = time.Since(begin)
	r.Took = r.Mapped
	return r, err
}

func floorDetach(ctx context.Context, f hands.Floor) (r hands.Floored, err error) {
	begin := time.Now()
	sessions, err := floorSessions(f)
	if err != nil {
		return r, err
	}
	// udev or multipathd may have it open for a moment.
	for {
		err := dm.Remove("mpath-" + f.WWID)
		if err == nil {
			break
		}
		if !errors.Is(err, dm.ErrBusy) || ctx.Err() != nil {
			return r, err
		}
		time.Sleep(tick)
	}
	r.Mapped = time.Since(begin)
	var g errgroup.Group
	for _, s := range sessions {
		g.Go(func() error {
			return s.remove(f.LUN)
		})
	}
	if err := g.Wait(); err != nil {
		return r, err
	}
	r.Scanned = time.Since(begin)
	if f.Cold {
		err = iscsiadm(ctx, f, "--logout")
	}
	r.Took = time.Since(begin)
	r.LoggedIn = r.Took
	return r, err
}
