// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRulesAreWrittenForTheGroupOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.d", "57-mallee-sp.rules")
	for i, want := range []bool{true, false} {
		if wrote, err := writeRules(file, "vg0"); err != nil || wrote != want {
			t.Errorf("time %d: wrote %v, %v; want %v", i+1, wrote, err, want)
		}
	}
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(rules), `ENV{DM_VG_NAME}!="vg0", GOTO`) || strings.Contains(string(rules), "@") {
		t.Errorf("rules:\n%s", rules)
	}
}
