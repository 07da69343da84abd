// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/test/target"
)

// sh runs a script on the node and returns what it prints.
func (w *world) sh(t *testing.T, script string, args ...string) string {
	t.Helper()
	r, err := w.nc1.Run(patience(t, time.Minute), append([]string{"sh", "-ec", script, "sh"}, args...)...)
	must(t, err)
	return strings.TrimSpace(r.Stdout)
}

// isOnly asserts that a device is b, for all who look at it, and that nothing takes
// any of its disks for former.
func (w *world) isOnly(t *testing.T, device string, b, former target.Backstore) {
	t.Helper()
	if got := w.content(t, device); got != b.Text {
		t.Errorf("the device of %s reads %q", b.Name, got)
	}
	if got := w.disksWith(t, former.WWID()); got != "" {
		t.Errorf("the kernel still takes %s for %s", got, former.Name)
	}
	for disk := range strings.FieldsSeq(w.disksIn(t, b)) {
		if got := w.sh(t, `udevadm settle; udevadm info --query=property --property=ID_SERIAL --value "/dev/$1"`, disk); got != b.WWID() {
			t.Errorf("udev takes %s of %s for %q", disk, b.Name, got)
		}
	}
}

// disksIn returns the disks in the map of a backstore.
func (w *world) disksIn(t *testing.T, b target.Backstore) string {
	t.Helper()
	const script = `for d in /sys/block/dm-*; do
	if [ "$(cat $d/dm/uuid)" = "mpath-$1" ]; then ls $d/slaves; fi
done`
	return strings.Join(strings.Fields(w.sh(t, script, b.WWID())), " ")
}

// scan has the kernel look for a LUN on the connector's sessions, as an admin or
// another tool may.
func (w *world) scan(t *testing.T, lun uint16) {
	t.Helper()
	const script = `
for s in /sys/class/iscsi_session/session*; do
	case $(cat $s/ifacename) in mallee-*) host=$(readlink -f $s/device/..); echo "0 0 $1" >/sys/class/scsi_host/${host##*/}/scan;; esac
done
udevadm settle`
	w.sh(t, script, fmt.Sprint(lun))
}

// disksWith returns the disks that the kernel takes for a WWID.
func (w *world) disksWith(t *testing.T, wwid string) string {
	t.Helper()
	const script = `cd /sys/block; grep -l "naa.$1" sd*/device/wwid | cut -d/ -f1 || true`
	return strings.Join(strings.Fields(w.sh(t, script, strings.TrimPrefix(wwid, "3"))), " ")
}
