// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A process that is killed while it holds the lock leaves it behind for good.
func TestAnOldLockIsAbandoned(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "lock"), filepath.Join(dir, "lock.write")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if abandoned(link, time.Now().Add(time.Hour)) {
		t.Error("a lock that nobody holds is abandoned")
	}
	if err := os.Link(file, link); err != nil {
		t.Fatal(err)
	}
	if abandoned(link, time.Now().Add(abandonedAfter/2)) {
		t.Error("a lock just taken is abandoned")
	}
	if !abandoned(link, time.Now().Add(2*abandonedAfter)) {
		t.Error("a lock taken long ago is held still")
	}
}
