// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// The kernel reads an archive by the lengths that it names, from one multiple of
// four to the next.
func TestWriteCPIO(t *testing.T) {
	var archive bytes.Buffer
	err := writeCPIO(&archive, fstest.MapFS{
		"init":        {Data: []byte("12345"), Mode: 0o755},
		"modules":     {Mode: fs.ModeDir | 0o755},
		"modules/a.k": {Data: []byte("1234"), Mode: 0o644},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"init 100755 12345", "modules 040755 ", "modules/a.k 100644 1234", "TRAILER!!! 000000 "}
	if diff := cmp.Diff(want, entries(t, archive.Bytes())); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// entries reads an archive as init/initramfs.c of Linux does.
func entries(t *testing.T, archive []byte) []string {
	t.Helper()
	var found []string
	for at := 0; at < len(archive); {
		var magic, inode, mode, skipped, size, nameSize int
		_, err := fmt.Sscanf(string(archive[at:at+110]), "%6d%8x%8x%32x%8x%32x%8x",
			&magic, &inode, &mode, &skipped, &size, &skipped, &nameSize)
		if err != nil || magic != 70701 {
			t.Fatalf("entry at %d: magic %d, %v", at, magic, err)
		}
		name := string(archive[at+110 : at+110+nameSize])
		at = (at + 110 + nameSize + 3) &^ 3
		found = append(found, fmt.Sprintf("%s %06o %s", strings.TrimSuffix(name, "\x00"), mode, archive[at:at+size]))
		at = (at + size + 3) &^ 3
	}
	return found
}

func TestWriteCPIORefusesLinks(t *testing.T) {
	err := writeCPIO(new(bytes.Buffer), fstest.MapFS{"link": {Data: []byte("init"), Mode: fs.ModeSymlink}})
	if err == nil || !strings.Contains(err.Error(), "/link") {
		t.Errorf("error is %v, want one that names /link", err)
	}
}
