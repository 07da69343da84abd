// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

func TestNothingOfOursLogsInAtBoot(t *testing.T) {
	const record = "node.name = x\nnode.startup = manual\nnode.conn[0].startup = manual\nnode.session.auth.password = OpenSesame\n"
	automatic := strings.Replace(record, "node.startup = manual", "node.startup = automatic", 1)
	onboot := strings.Replace(record, "node.startup = manual", "node.startup = onboot", 1)
	connection := strings.Replace(record, "[0].startup = manual", "[0].startup=automatic ", 1)
	const prefix = "iqn.2026-11.io.mallee:"
	in := newInitiator(t)
	for file, content := range map[string]string{
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.1,3260,1/mallee-default":   record,
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.2,3260,1/mallee-default":   automatic,
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.3,3260,1/mallee-default":   connection,
		"nodes/iqn.2020-01.com.example:own/10.1.1.4,3260,1/mallee-default": onboot,
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.1,3260,1/default":          record,
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.2,3260,1/default":          automatic,
		"nodes/iqn.2020-01.com.example:other/10.1.1.5,3260,1/default":      automatic,
	} {
		file = filepath.Join(in.Etc, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	removed, foreign, err := in.PrepareBoot(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		in.Etc + "/nodes/iqn.2020-01.com.example:own/10.1.1.4,3260,1/mallee-default",
		in.Etc + "/nodes/iqn.2026-11.io.mallee:san/10.1.1.2,3260,1/mallee-default",
		in.Etc + "/nodes/iqn.2026-11.io.mallee:san/10.1.1.3,3260,1/mallee-default",
	}, removed); diff != "" {
		t.Errorf("removed (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{in.Etc + "/nodes/iqn.2026-11.io.mallee:san/10.1.1.2,3260,1/default"}, foreign); diff != "" {
		t.Errorf("foreign (-want +got)\n%s", diff)
	}
	got := files(t, in.Etc)
	slices.Sort(got)
	if diff := cmp.Diff([]string{
		"nodes/iqn.2020-01.com.example:other/10.1.1.5,3260,1/default",
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.1,3260,1/default",
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.1,3260,1/mallee-default",
		"nodes/iqn.2026-11.io.mallee:san/10.1.1.2,3260,1/default",
	}, got); diff != "" {
		t.Errorf("left (-want +got)\n%s", diff)
	}
	// A record as we write it is none of those.
	if err := in.WriteRecords(t.Context(), []openiscsi.Portal{portal("10.107.1.200:3260")}, settings, openiscsi.Secret{Username: "nc1", Password: "automatic"}); err != nil {
		t.Fatal(err)
	}
	if removed, _, err := in.PrepareBoot(t.Context(), prefix); err != nil || len(removed) > 0 {
		t.Errorf("removed %q, %v", removed, err)
	}
}
