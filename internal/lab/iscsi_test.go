// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/lab"
)

const targetIQN = "iqn.2025-01.io.mallee.lab:target"

// makeTarget exports the disk $1 of a storage processor at all portals, which
// follow, in demo mode. Without a unit serial, udev and multipath could not tell what it is.
const makeTarget = `
cd /sys/kernel/config/target
mkdir -p core/iblock_0/disk
echo udev_path=$1 > core/iblock_0/disk/control
echo 1 > core/iblock_0/disk/enable
echo 0123456789abcdef0123456789abcdef > core/iblock_0/disk/wwn/vpd_unit_serial
tpg=iscsi/` + targetIQN + `/tpgt_1
mkdir -p $tpg/lun/lun_0
ln -s /sys/kernel/config/target/core/iblock_0/disk $tpg/lun/lun_0/disk
shift
for portal in "$@"; do mkdir $tpg/np/$portal:3260; done
echo 1 > $tpg/attrib/generate_node_acls
echo 0 > $tpg/attrib/demo_mode_write_protect
echo 0 > $tpg/attrib/authentication
echo 1 > $tpg/enable
`

// testISCSI asserts that a portal that is cut fails its own session only.
func testISCSI(ctx context.Context, t *testing.T, l *lab.Lab, san, nc1 *lab.Machine) {
	run := func(m *lab.Machine, argv ...string) string {
		t.Helper()
		result, err := m.Run(ctx, argv...)
		if err != nil {
			t.Fatal(err)
		}
		return result.Stdout
	}
	run(san, append([]string{"sh", "-ec", makeTarget, "sh", san.Disk(0)}, portals...)...)
	if _, err := nc1.Spawn(ctx, "iscsid", "iscsid", "-f"); err != nil {
		t.Fatal(err)
	}
	run(nc1, "iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", portals[0])
	run(nc1, "iscsiadm", "-m", "node", "-T", targetIQN, "-o", "update",
		"-n", "node.conn[0].timeo.noop_out_interval", "-v", "1",
		"-n", "node.conn[0].timeo.noop_out_timeout", "-v", "1")
	run(nc1, "iscsiadm", "-m", "node", "-T", targetIQN, "--login")
	run(nc1, "udevadm", "settle")

	// All four are one disk: NAA 6, LIO's OUI, 25 digits of the serial.
	wwids := strings.Fields(run(nc1, "sh", "-c", "cat /sys/block/sd*/device/wwid"))
	want := "naa.60014050123456789abcdef012345678"
	if diff := cmp.Diff([]string{want, want, want, want}, wwids); diff != "" {
		t.Errorf("WWIDs of the paths (-want +got):\n%s", diff)
	}

	expect := func(when string, want map[string]string) {
		t.Helper()
		var got map[string]string
		waitFor(ctx, t, when, func() bool {
			got = sessionStates(ctx, t, nc1)
			return cmp.Equal(want, got)
		})
	}
	all := map[string]string{}
	for _, p := range portals {
		all[p] = "LOGGED_IN"
	}
	expect("four sessions", all)
	if err := l.Cut(ctx, portals[1]); err != nil {
		t.Fatal(err)
	}
	oneFailed := map[string]string{}
	for _, p := range portals {
		oneFailed[p] = "LOGGED_IN"
	}
	oneFailed[portals[1]] = "FAILED"
	expect("one failed session", oneFailed)
	if err := l.Heal(ctx, portals[1]); err != nil {
		t.Fatal(err)
	}
	expect("the session's return", all)
	if l.Backend() == "qemu" {
		testStockKernel(ctx, t, nc1, portals[0])
	}
	run(nc1, "iscsiadm", "-m", "node", "-T", targetIQN, "--logout")
}

// sessionStates returns the kernel's state of each session by its portal.
func sessionStates(ctx context.Context, t *testing.T, m *lab.Machine) map[string]string {
	t.Helper()
	const script = `
for s in /sys/class/iscsi_session/session*; do
	read state < $s/state
	read portal < $s/device/connection*/iscsi_connection/connection*/persistent_address
	echo $portal $state
done`
	result, err := m.Run(ctx, "bash", "-ec", script)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for line := range strings.Lines(result.Stdout) {
		portal, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		states[portal] = state
	}
	return states
}
