// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// What is read while the file is being replaced counts for nothing, be it half of
// it or none.
func TestAFileThatIsReplacedWhileItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eucalyptus.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("STORAGE_INTERFACES=a=eth0")
	reads := 0
	f := &file{path: path, parse: func(path string) (map[string]string, []string, error) {
		if reads++; reads == 1 {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			defer write("STORAGE_INTERFACES=a=eth0,b=eth1")
		}
		return parseEucalyptus(path)
	}}
	for i, want := range []map[string]string{nil, nil, nil, {"a": "eth0", "b": "eth1"}} {
		if f.poll(); f.fault != "" || !maps.Equal(f.devices, want) {
			t.Errorf("after look %d there are %v and the fault %q, want %v", i+1, f.devices, f.fault, want)
		}
	}
}
