// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

func TestAPortalIsLeftWhenNoVolumeNeedsIt(t *testing.T) {
	c, _ := newConnector(t, 0)
	p := portal("10.107.1.200:3260")
	wanted := map[openiscsi.Portal]bool{anyGroup(p): true}
	one, two := c.volume("3a"), c.volume("3b")
	c.want(one, target, wanted)
	c.want(two, target, wanted)
	changed := c.Changed(wwid)
	logInTo(t.Context(), c, p, CHAP{})
	<-changed
	records := func() int {
		files, _ := filepath.Glob(filepath.Join(iscsi(c).Etc, "nodes", "*", "*", "*"))
		return len(files)
	}

	one.target = ""
	if err := c.release(t.Context(), target); err != nil || records() != 1 {
		t.Errorf("with a volume that needs it: %v, %d records, want 1", err, records())
	}
	two.portals = nil // the same target, through other portals
	if _, ok := c.leave(anyGroup(p)); !ok {
		t.Fatal("the portal cannot be left")
	}
	if _, ok := c.leave(anyGroup(p)); ok || !c.beingLeft(p) {
		t.Error("left twice at once")
	}
	c.left(anyGroup(p))
	if err := c.release(t.Context(), target); err != nil || records() != 0 {
		t.Errorf("with none: %v, %d records, want 0", err, records())
	}
	if c.beingLeft(p) {
		t.Error("it is still being left")
	}
}

func TestLeavingAPortalEndsItsLogin(t *testing.T) {
	c, j := newConnector(t)
	// It logs in for as long as it is let.
	script := "#!/bin/sh\nexec /bin/sleep 60\n"
	if err := os.WriteFile(filepath.Join(iscsi(c).Etc, "iscsiadm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	changed := c.Changed(wwid)
	logInTo(t.Context(), c, portal("10.107.1.200:3260"), CHAP{})
	if _, ok := c.leave(anyGroup(portal("10.107.1.200:3260"))); !ok {
		t.Fatal("the portal cannot be left")
	}
	<-changed
	if len(j.when["login failed"]) != 1 || len(c.logins) != 0 {
		t.Errorf("log %v, logins %v", j.when, c.logins)
	}
}
