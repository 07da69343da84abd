// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mallee-io/mallee/internal/lab"
)

// testStockKernel asserts what UML's kernel lacks, on a node that is logged in at a
// portal.
func testStockKernel(ctx context.Context, t *testing.T, nc1 *lab.Machine, portal string) {
	run := func(argv ...string) string {
		t.Helper()
		result, err := nc1.Run(ctx, argv...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(result.Stdout)
	}
	if got := run("nproc"); got != "2" {
		t.Errorf("the machine has %s CPUs, want 2", got)
	}
	const attach = `modprobe scsi_dh_alua; echo alua >/sys/block/sda/device/dh_state; cat /sys/block/sda/device/dh_state`
	if got := run("sh", "-ec", attach); got != "alua" {
		t.Errorf("the disk's hardware handler is %q, want alua", got)
	}

	connection := func(more ...string) string {
		t.Helper()
		return run(append([]string{"ss", "--no-header", "--numeric", "--tcp", "dst", portal}, more...)...)
	}
	before := connection()
	if killed := connection("--kill"); before == "" || killed == "" {
		t.Fatalf("of the connection %q the kernel killed %q", before, killed)
	}
	waitFor(ctx, t, "another connection", func() bool {
		now := connection()
		return strings.Contains(now, "ESTAB") && localPort(now) != localPort(before)
	})
}

// localPort returns address and port of this side in a line of ss(8).
func localPort(line string) string {
	if fields := strings.Fields(line); len(fields) > 3 {
		return fields[3]
	}
	return ""
}
