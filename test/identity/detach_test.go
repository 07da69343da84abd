// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/test/hands"
	"github.com/mallee-io/mallee/test/scenario"
	"github.com/mallee-io/mallee/test/target"
)

func testInUse(t *testing.T, w *world) {
	const lun = 50
	b := w.backstore(t, "used", func(b *target.Backstore) { b.Text = "" })
	must(t, w.san.Map(t.Context(), b.Name, seats(lun, tags...)...))
	v := volume(b, lun)
	device := w.attach(t, v).Device
	refused := func(user string) {
		t.Helper()
		err := w.node.Call(patience(t, time.Minute), hands.OpDetach, []hands.Volume{v}, nil)
		if err == nil || !strings.Contains(err.Error(), "in use by") || !strings.Contains(err.Error(), user) {
			t.Errorf("detach says %v, want that it is in use by %s", err, user)
		}
	}
	holder, err := w.nc1.Spawn(t.Context(), "holder", "sh", "-c", "exec 3<"+device+"; exec sleep 600")
	must(t, err)
	must(t, scenario.Eventually(patience(t, 10*time.Second), 100*time.Millisecond, func() (bool, error) {
		_, err := w.nc1.Run(t.Context(), "test", "-b", "/proc/"+strconv.Itoa(holder.PID)+"/fd/3")
		return err == nil, err
	}))
	refused("process " + strconv.Itoa(holder.PID) + " (sleep)")
	must(t, holder.Kill(t.Context()))
	_, err = holder.Wait(patience(t, 10*time.Second))
	must(t, err)

	w.sh(t, `mkfs.ext4 -q "$1"; mount "$1" /mnt; echo kept >/mnt/file`, device)
	refused("mount /mnt")
	w.keep(t, v, func(s connector.Status) bool { return s.Up() == len(portals) }) // nothing was taken from its user
	if got := w.sh(t, "cat /mnt/file; umount /mnt"); got != "kept" {
		t.Errorf("the file in it holds %q", got)
	}
	w.detach(t, v)
	w.detach(t, v)
	must(t, w.san.Unmap(t.Context(), seats(lun, tags...)...))
}

// testDetach takes volumes of the second target down, whatever state they are in, and
// has nothing left of it each time.
func testDetach(t *testing.T, w *world) {
	const lun = 1
	b := w.backstore(t, "leaving")
	list := seats(lun, tags...)
	for i := range list {
		list[i].IQN = second
	}
	must(t, w.san.Map(t.Context(), b.Name, list...))
	v := volume(b, lun)
	v.Target = second
	addresses := make([]string, len(portals))
	for i, p := range portals {
		addresses[i], _, _ = strings.Cut(p, ":")
	}
	for _, test := range []struct {
		name string
		cut  []string // before the attach
		then []string // before the detach
		down int      // paths that must be seen to be down before the detach
	}{
		{"complete", nil, nil, 0},
		{"half attached, one login still waits for its portal", addresses[3:], nil, 0},
		{"with two paths down", nil, addresses[:2], 2},
		{"with the SAN gone", nil, addresses, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() { // also when it fails: the next begins with all paths
				for _, a := range addresses {
					must(t, w.lab.Heal(context.WithoutCancel(t.Context()), a))
				}
			}()
			for _, a := range test.cut {
				must(t, w.lab.Cut(t.Context(), a))
			}
			var r hands.Attached
			must(t, w.node.Call(patience(t, time.Minute), hands.OpAttach, hands.Attach{Volumes: []hands.Volume{v}, Complete: test.cut == nil}, &r))
			for _, a := range test.then {
				must(t, w.lab.Cut(t.Context(), a))
			}
			w.keep(t, v, func(s connector.Status) bool {
				down := 0
				for _, p := range s.Paths {
					if p.State == connector.PathDown {
						down++
					}
				}
				return down >= test.down
			})
			begun := time.Now()
			w.detach(t, v)
			t.Logf("detached in %v", time.Since(begun))
			const left = `
for s in /sys/class/iscsi_session/session*; do cat $s/targetname; done | grep -x "$1" || true
ls -d /etc/iscsi/nodes/$1 /dev/mallee/$2 2>/dev/null || true
dmsetup ls | grep "$3" || true
grep "$3" /etc/multipath/wwids || true`
			if got := w.sh(t, left, second, v.Name, b.WWID()); got != "" {
				t.Errorf("left behind:\n%s", got)
			}
			if got := w.disksWith(t, b.WWID()); got != "" {
				t.Errorf("disks %s are left behind", got)
			}
		})
	}
	w.detach(t, v) // once more, of what is not there
	must(t, w.san.Unmap(t.Context(), list...))
	w.keep(t, w.anchor, func(s connector.Status) bool { return s.Up() == len(portals) })
}
