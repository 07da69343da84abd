// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "clc") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func quietOptions(dir string) Options {
	return Options{
		StateDir: dir, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Names: []string{"127.0.0.1"},
		Log: slog.New(slog.DiscardHandler), UnsafeNoFsync: true,
	}
}

// Whenever the controller is killed, its next start ends the restore.
func TestARestoreIsEndedAfterAKillAtAnyStep(t *testing.T) {
	packed, records, authority := smallCloud(t)
	for name, c := range map[string]struct {
		done int  // steps
		torn bool // in the midst of the next ones
	}{
		"before any":                 {0, false},
		"marked":                     {1, false},
		"while records are replaced": {1, true},
		"records replaced":           {2, false},
		"while the CA is replaced":   {2, true},
		"CA replaced":                {3, false},
		"unmarked":                   {4, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			s := openStore(t, dir)
			if err := claim(t.Context(), s, newAuthority(t, dir)); err != nil {
				t.Fatal(err)
			}
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				return volumes.Put(tx, "vol-0000000f", volumeRecord{Partition: partition, SizeGiB: 9, State: "available"})
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, pendingFile), packed, 0o600); err != nil {
				t.Fatal(err)
			}
			r := pending(t, dir)
			for _, step := range r.steps(s, dir)[:c.done] {
				if err := step.do(t.Context()); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
			}
			if c.torn {
				tear(t, s, dir, records)
			}
			s.Close()

			if err := pending(t, dir).finish(t.Context(), quietOptions(dir)); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, dir)
			defer s.Close()
			snap, err := s.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(untold(t, records), untold(t, slices.Collect(snap.Records()))); diff != "" {
				t.Errorf("(-backup +records)\n%s", diff)
			}
			if got := newAuthority(t, dir); got.Fingerprint() != authority.Fingerprint() {
				t.Error("the CA is not the backup's")
			}
			if err := claim(t.Context(), s, authority); err != nil {
				t.Error(err)
			}
			if r, err := pendingRestore(dir); err != nil || r != nil {
				t.Errorf("the restore has not ended: %v", err)
			}
		})
	}
}

func pending(t *testing.T, dir string) *restore {
	t.Helper()
	r, err := pendingRestore(dir)
	if err != nil || r == nil {
		t.Fatalf("no restore is pending: %v", err)
	}
	return r
}

// tear leaves what a kill in the midst of a step may leave: some of the records,
// and no directory of the CA.
func tear(t *testing.T, s *store.Store, dir string, records []store.Record) {
	t.Helper()
	if err := s.Replace(t.Context(), records[:len(records)/2], clouds.Name()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "ca"), filepath.Join(dir, "ca.replaced")); err != nil {
		t.Fatal(err)
	}
}

// untold returns the records as they are restored, without the name of the
// transaction that wrote each.
func untold(t *testing.T, records []store.Record) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range records {
		if r.Table == clouds.Name() {
			continue
		}
		text := string(r.Text)
		if i := strings.Index(text, `,"tx":`); i > 0 {
			text = text[:i] + "}"
		}
		// What age changes is tested by itself.
		if r.Table == volumes.Name() || r.Table == attachments.Name() {
			text = ""
		}
		all[r.Table+"/"+r.ID] = text
	}
	return all
}

// The cloud has gone on since the backup was taken: nothing may be taken away
// because of what was under way then.
func TestNothingIsTakenAwayByAnOldBackup(t *testing.T) {
	packed, _, _ := smallCloud(t)
	dir := shortDir(t)
	if err := os.WriteFile(filepath.Join(dir, pendingFile), packed, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := pending(t, dir).finish(t.Context(), quietOptions(dir)); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	defer s.Close()
	v, err := readView(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range v.partitionState(partition).GetExports() {
		if !d.GetWanted() {
			t.Errorf("the SAN is told to take away the export of %s", d.GetVolumeId())
		}
	}
	for id, a := range v.attachments {
		if !a.Wanted || a.Released {
			t.Errorf("the node is told to let go of %s", id)
		}
	}
	if a := v.attachments["vol-00000001"]; a.State != mallee.Attaching || a.Message != "" || a.Generation != 1 {
		t.Errorf("an attachment that nobody has touched became %+v", a)
	}
	if a := v.attachments["vol-00000002"]; !strings.Contains(a.Message, "ask for it again") {
		t.Errorf("of a detach that was under way nobody is told: %+v", a)
	}
	if g := v.volumes["vol-00000002"].Generation; g <= 7+100 {
		t.Errorf("a new attachment would have generation %d, which the cloud may have used", g+1)
	}
}

// A certificate lasts for weeks, and a backup may be older than the last renewal.
func TestAPartThatHasRenewedSinceTheBackupIsLetIn(t *testing.T) {
	c := newCluster(t)
	c.nc("nc1")
	id := memberID(rpc.NC, "nc1")
	var joined memberRecord
	err := c.store.Update(t.Context(), func(tx *store.Tx) (err error) {
		if joined, _, err = members.Get(tx, id); err != nil {
			return err
		}
		restored := joined
		restored.Serial, restored.Previous = "", ""
		return members.Put(tx, id, restored)
	})
	if err != nil {
		t.Fatal(err)
	}
	renewed := rpc.Identity{Role: rpc.NC, Name: "nc1", Joining: joined.Joining, Serial: "renewed"}
	other := renewed
	other.Serial = joined.Serial
	stranger := renewed
	stranger.Joining = "another"
	for _, call := range []struct {
		name string
		id   rpc.Identity
		in   bool
	}{
		{"of another joining", stranger, false},
		{"renewed since", renewed, true},
		{"the same again", renewed, true},
		{"an older one", other, false},
	} {
		if err := c.admitPart(t.Context(), call.id, true); (err == nil) != call.in || err != nil && mallee.KindOf(err) != mallee.Denied {
			t.Errorf("a certificate %s: %v", call.name, err)
		}
	}
}

func TestABadPendingBackupStopsTheController(t *testing.T) {
	dir := shortDir(t)
	if err := os.WriteFile(filepath.Join(dir, pendingFile), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), quietOptions(dir))
	if err == nil || !strings.Contains(err.Error(), pendingFile) {
		t.Errorf("got %v", err)
	}
}

func TestRecordsOfAnotherCloudAreNotUsed(t *testing.T) {
	dir := shortDir(t)
	s := openStore(t, dir)
	defer s.Close()
	authority := newAuthority(t, dir)
	for range 2 {
		if err := claim(t.Context(), s, authority); err != nil {
			t.Fatal(err)
		}
	}
	if err := claim(t.Context(), s, newAuthority(t, shortDir(t))); mallee.KindOf(err) != mallee.IncorrectState || !strings.Contains(err.Error(), "another certificate authority") {
		t.Errorf("with another CA: %v", err)
	}
	err := s.Update(context.Background(), func(tx *store.Tx) error {
		return clouds.Put(tx, cloudID, cloudRecord{CA: authority.Fingerprint(), Restoring: "clc1:/var/lib/mallee/clc"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := claim(t.Context(), s, authority); err == nil || !strings.Contains(err.Error(), "restore that has begun on clc1") {
		t.Errorf("in the midst of another's restore: %v", err)
	}
}
