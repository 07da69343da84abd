// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzOutcomes(f *testing.F) {
	for _, name := range []string{"all", "dead", "no-daemon", "pending", "refused", "reset"} {
		stdout, err := os.ReadFile(filepath.Join("testdata", name+".stdout"))
		if err != nil {
			f.Fatal(err)
		}
		stderr, err := os.ReadFile(filepath.Join("testdata", name+".stderr"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(stdout), string(stderr))
	}
	f.Fuzz(func(t *testing.T, stdout, stderr string) {
		for portal, code := range outcomes(stdout, stderr) {
			if code < -1 || code > 999 {
				t.Errorf("code %d", code)
			}
			if code == 0 && !strings.Contains(stdout, "["+portal+"]") || code != 0 && !strings.Contains(stderr, "["+portal+"]") {
				t.Errorf("nothing was said of %q", portal)
			}
		}
	})
}
