// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/store"
)

var backupTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// seed puts records of a small cloud into s: a volume that is attached, one that
// was being detached, and one that is free.
func seed(t *testing.T, s *store.Store, authority *ca.CA) {
	t.Helper()
	if err := claim(t.Context(), s, authority); err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		for id, generation := range map[string]uint64{"vol-00000001": 1, "vol-00000002": 7, "vol-00000003": 0} {
			if err := volumes.Put(tx, id, volumeRecord{Partition: partition, SizeGiB: 1, State: "in-use", Generation: generation}); err != nil {
				return err
			}
		}
		if err := attachments.Put(tx, "vol-00000001", attachmentRecord{Generation: 1, State: "attached", Wanted: true}); err != nil {
			return err
		}
		if err := attachments.Put(tx, "vol-00000002", attachmentRecord{Generation: 7, State: "detaching", Released: true}); err != nil {
			return err
		}
		if err := nodes.Put(tx, "nc1", nodeRecord{InstanceID: "i-00000001"}); err != nil {
			return err
		}
		return keys.Put(tx, "AKMLFROMTHEBACKUP000", keyRecord{Secret: "of the <backup> & none else"})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func packed(t testing.TB, b *backup) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := b.write(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), quietOptions(dir).store())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newAuthority(t testing.TB, dir string) *ca.CA {
	t.Helper()
	a, err := ca.OpenOrCreate(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// smallCloud returns a backup and the records that it was made of.
func smallCloud(t *testing.T) (file []byte, records []store.Record, authority *ca.CA) {
	t.Helper()
	dir := shortDir(t)
	s := openStore(t, dir)
	defer s.Close()
	authority = newAuthority(t, dir)
	seed(t, s, authority)
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := newBackup(snap, authority)
	b.Created = backupTime
	return packed(t, b), b.records, authority
}

func TestABackupHoldsEverything(t *testing.T) {
	packed, records, authority := smallCloud(t)
	b, err := readBackup(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(records, b.records); diff != "" {
		t.Errorf("(-records +backup)\n%s", diff)
	}
	if b.authority.Fingerprint() != authority.Fingerprint() || !b.Created.Equal(backupTime) || b.Revision == 0 {
		t.Errorf("the backup is of %v, revision %d, CA %s", b.Created, b.Revision, b.authority.Fingerprint())
	}
}

func unpack(t testing.TB, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func pack(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}

func TestDamagedBackupsAreRefused(t *testing.T) {
	packed, _, _ := smallCloud(t)
	text := string(unpack(t, packed))
	lines := slices.Collect(strings.Lines(text))
	replace := func(from, to string) []byte {
		if !strings.Contains(text, from) {
			t.Fatalf("the backup does not hold %s", from)
		}
		return pack([]byte(strings.Replace(text, from, to, 1)))
	}
	for name, c := range map[string]struct {
		packed []byte
		want   string
	}{
		"empty":             {nil, "not in gzip's format"},
		"something else":    {[]byte("PK\x03\x04"), "not in gzip's format"},
		"no backup":         {pack([]byte("{}\n")), "not a backup of a cloud controller"},
		"nothing packed":    {pack(nil), "not whole"},
		"half of the file":  {packed[:len(packed)/2], "not whole"},
		"without its end":   {packed[:len(packed)-1], "unexpected EOF"},
		"without last line": {pack([]byte(strings.Join(lines[:len(lines)-1], ""))), "not whole"},
		"without a record":  {pack([]byte(strings.Join(slices.Delete(slices.Clone(lines), 2, 3), ""))), "last line does not fit"},
		"a record twice":    {pack([]byte(strings.Join(slices.Insert(slices.Clone(lines), 2, lines[2]), ""))), "last line does not fit"},
		"a changed record":  {replace(`"SizeGiB":1`, `"SizeGiB":2`), "last line does not fit"},
		"a line too many":   {pack([]byte(text + lines[2])), "something follows"},
		"a file too many":   {append(slices.Clone(packed), packed...), "something follows"},
		"newer format":      {replace(`"mallee_backup":1`, `"mallee_backup":2`), "it has format 2 and this program knows format 1"},
		"newer record":      {replace(`"record":{"schema":1`, `"record":{"schema":9`), "has schema 9"},
		"unknown table":     {replace(`"table":"nodes"`, `"table":"sheep"`), `knows no table "sheep"`},
		"unknown key":       {replace(`"table":"nodes"`, `"sheep":"","table":"nodes"`), `unknown field "sheep"`},
		"no certificate":    {replace(`-----BEGIN CERTIFICATE-----`, ``), "its certificate authority: ca.pem"},
		"another key":       {replace(keyOf(t, lines[0]), keyOf(t, otherHead(t))), "do not belong together"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readBackup(bytes.NewReader(c.packed)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %s", err, c.want)
			}
		})
	}
}

func otherHead(t *testing.T) string {
	packed, _, _ := smallCloud(t)
	head, _, _ := strings.Cut(string(unpack(t, packed)), "\n")
	return head
}

func keyOf(t *testing.T, head string) string {
	t.Helper()
	_, rest, ok := strings.Cut(head, `-----BEGIN PRIVATE KEY-----`)
	key, _, ok2 := strings.Cut(rest, `-----END`)
	if !ok || !ok2 {
		t.Fatal("the head has no key")
	}
	return key
}

func FuzzReadBackup(f *testing.F) {
	text := unpack(f, packed(f, &backup{Created: backupTime, authority: newAuthority(f, f.TempDir()), records: []store.Record{
		{Table: "volumes", ID: "vol-00000001", Text: []byte(`{"schema":1,"value":{}}`)},
	}}))
	f.Add(text)
	f.Add(bytes.Join([][]byte{text, []byte(`{"table":"volumes","id":"vol-00000001","record":{"schema":1,"value":{}}}`)}, nil))
	f.Add([]byte("{\"mallee_backup\":1}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := readBackup(bytes.NewReader(pack(text)))
		if err != nil {
			return
		}
		if _, err := age(b.records); err != nil {
			t.Errorf("a backup was accepted and cannot be restored: %v", err)
		}
	})
}

// A table that is missing in the list could be backed up and not restored.
func TestEveryTableIsListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`store\.NewTable\[\w+\]\("([^"]+)"`)
	var want, got []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range made.FindAllSubmatch(text, -1) {
			want = append(want, string(m[1]))
		}
	}
	for _, table := range tables() {
		got = append(got, table.Name())
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables() lacks or repeats some (-made +listed)\n%s", diff)
	}
}
