// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A flush fails only once, and the call that it fails in may fail for another
// reason as well: whoever detaches must hear of it all the same, once.
func TestLostWritesAreToldByTheDetachThatEnds(t *testing.T) {
	m := newMachine(t)
	m.iscsiadm(0)
	m.session("FAILED")
	m.has(wwid, "dm-0")
	m.say(pathsOf(`{"dev": "sdb", "dm_st": "failed", "chk_st": "faulty"}`))
	// There is no /dev/dm-0 here, so that the flush fails.
	err := m.Detach(t.Context(), vol())
	if err == nil || !strings.Contains(err.Error(), "sdb is in map dm-0") {
		t.Fatalf("error %v, want that a disk is still in a map", err)
	}
	if err := os.RemoveAll(filepath.Join(m.dir, "block/sdb/holders")); err != nil {
		t.Fatal(err)
	}
	// The kernel would take sdb away.
	err = m.Detach(t.Context(), vol())
	if _, ok := errors.AsType[*LostWritesError](err); !ok {
		t.Fatalf("error %v, want that writes were lost", err)
	}
	if !m.deleted("sdb") {
		t.Error("the disk stays")
	}
	if err := m.Detach(t.Context(), vol()); err != nil {
		t.Errorf("told again, of another attachment: %v", err)
	}
}

// A flush that hangs keeps the device open: without an end of it no later call
// could detach the volume either.
func TestAFlushThatLosesItsPathsDoesNotHang(t *testing.T) {
	m := newMachine(t)
	m.iscsiadm(0)
	m.has(wwid, "dm-0")
	m.say(pathsOf(`{"dev": "sdb", "dm_st": "active", "chk_st": "ready"}`))
	// To open a FIFO is to wait, as a flush does for a path.
	device := filepath.Join(m.dir, "dev/dm-0")
	if err := os.MkdirAll(filepath.Dir(device), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(device, 0o600); err != nil {
		t.Fatal(err)
	}
	m.fail = func() {
		go func() {
			if f, err := os.OpenFile(device, os.O_WRONLY, 0); err == nil {
				f.Close()
			}
		}()
	}
	time.AfterFunc(100*time.Millisecond, func() {
		m.say(pathsOf(`{"dev": "sdb", "dm_st": "failed", "chk_st": "faulty"}`))
	})
	err := m.Detach(t.Context(), vol())
	if _, ok := errors.AsType[*LostWritesError](err); !ok {
		t.Errorf("error %v, want that writes were lost", err)
	}
}

// multipathd may be about to put a path into the map that goes, and makes another of it.
func TestADetachRemovesAMapThatMultipathdMakesAgain(t *testing.T) {
	m := newMachine(t)
	m.iscsiadm(0)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.write("dev/dm-0", "")
	removed := 0
	deviceMapper(m.Connector).remove = func(string) error {
		m.has(wwid, "")
		if removed++; removed == 1 {
			time.AfterFunc(10*time.Millisecond, func() { m.has(wwid, "dm-0") })
			return nil
		}
		m.leave("sdb")
		return nil
	}
	if err := m.Detach(t.Context(), vol()); err != nil || removed != 2 || !m.deleted("sdb") {
		t.Errorf("%v; the map was removed %d times, the disk: %t", err, removed, m.deleted("sdb"))
	}
}
