// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/test/target"
)

// strange lists what the machine has of an admin's: a session through the default
// iface to a target that the connector uses too, its disk, a map over that, and what
// can be read from it.
const strange = `
for s in /sys/class/iscsi_session/session*; do
	if [ "$(cat $s/ifacename)" = default ]; then
		echo "${s##*/} $(cat $s/state) $(cd $s/device && ls -d target*/*:*:*:*)"
	fi
done
dmsetup table admin
head -c 7 /dev/mapper/admin
ls /etc/iscsi/nodes/$1/*/default`

// arrive does what an admin does by hand before the tests begin.
func (w *world) arrive(t *testing.T) {
	t.Helper()
	const lun = 99
	b := w.backstore(t, "admin's", func(b *target.Backstore) { b.Vendor, b.Product = "LIO-ORG", "FILEIO" })
	must(t, w.san.Map(t.Context(), b.Name, seats(lun, 1)...))
	const script = `
iscsiadm -m node -o new -T $1 -p $2,1 -I default
iscsiadm -m node -T $1 -p $2,1 -I default -o update -n node.session.scan -v manual
iscsiadm -m node -T $1 -p $2,1 -I default --login
for s in /sys/class/iscsi_session/session*; do
	if [ "$(cat $s/ifacename)" = default ]; then
		host=$(readlink -f $s/device/..); echo "0 0 $3" >/sys/class/scsi_host/${host##*/}/scan
		udevadm settle
		disk=$(ls $s/device/target*/*:*:*:*/block)
		dmsetup create admin --table "0 $(cat /sys/block/$disk/size) linear /dev/$disk 0"
	fi
done
udevadm settle`
	w.sh(t, script, iqn, portals[0], "99")
	w.stranger = w.sh(t, strange, iqn)
}

func testStranger(t *testing.T, w *world) {
	w.detach(t, w.anchor)
	if diff := cmp.Diff(w.stranger, w.sh(t, strange, iqn)); diff != "" {
		t.Errorf("what an admin has made by hand (-before +after):\n%s", diff)
	}
	// And nothing of the connector's is left beside it.
	const script = `
for s in /sys/class/iscsi_session/session*; do cat $s/ifacename; done
ls /etc/iscsi/nodes/*/*
ls /dev/mallee
dmsetup ls --target multipath | grep -v 'No devices found' || true`
	want := "default\ndefault"
	if diff := cmp.Diff(want, w.sh(t, script)); diff != "" {
		t.Errorf("sessions, records, names and maps (-want +got):\n%s", diff)
	}
}
