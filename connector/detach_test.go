// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if err == nil || !strings.Contains(err.Error(), "sdb is back in map dm-0") {
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
