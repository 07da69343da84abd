// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// scanned shows, below a session, LUN 5 as sdb.
func scanned(t *testing.T, c *Connector) {
	dir := filepath.Join(diskTree(c).Sys, "class/iscsi_session/session1/device/target2:0:0/2:0:0:5")
	if err := os.MkdirAll(filepath.Join(dir, "block", "sdb"), 0o755); err != nil {
		t.Error(err)
	}
	node := filepath.Join(diskTree(c).Dev, "sdb")
	if err := errors.Join(os.MkdirAll(filepath.Dir(node), 0o755), os.WriteFile(node, nil, 0o600)); err != nil {
		t.Error(err)
	}
	for file, content := range map[string]string{"state": "running\n", "block/sdb/size": sectors + "\n", "block/sdb/dev": "8:16\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// The disk of a LUN comes a moment after the scan that found it.
func TestADiskIsWaitedForAfterTheScan(t *testing.T) {
	for _, test := range []struct {
		name   string
		after  time.Duration // the scan; 0 for never
		event  bool
		found  bool
		waited time.Duration
	}{
		{"an event tells", time.Second, true, true, time.Second},
		{"no event while Run does not run", time.Second, false, true, lunRetry},
		{"there is no such LUN", 0, false, false, lunRetry},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newConnector(t)
				if test.after > 0 {
					time.AfterFunc(test.after, func() {
						scanned(t, c)
						if test.event {
							c.event.Send()
						}
					})
				}
				start := time.Now()
				disk, found, err := c.awaitDisk(t.Context(), vol(), openiscsi.Session{ID: 1, Host: 2})
				if err != nil || found != test.found || found && disk.Name != "sdb" {
					t.Errorf("disk %+v, %t, %v", disk, found, err)
				}
				if waited := time.Since(start); waited != test.waited {
					t.Errorf("waited %s, want %s", waited, test.waited)
				}
			})
		})
	}
}

func TestALookScansForItsLUNAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newConnector(t)
		scan := filepath.Join(diskTree(c).Sys, "class/scsi_host/host2/scan")
		session := openiscsi.Session{ID: 1, Host: 2}
		if _, _, err := c.look(t.Context(), vol(), session, func(error) {}); err == nil || !strings.Contains(err.Error(), "cannot scan LUN 5 on host2") {
			t.Errorf("without the host: error %v", err)
		}
		if err := os.MkdirAll(filepath.Dir(scan), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(scan, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, wrong, err := c.look(t.Context(), vol(), session, func(error) {})
		if wrong || err == nil || !strings.Contains(err.Error(), "the target shows no LUN 5 here") {
			t.Errorf("error %v, another identity: %t", err, wrong)
		}
		if got, _ := os.ReadFile(scan); string(got) != "0 0 5" {
			t.Errorf("scanned for %q", got)
		}
	})
}
