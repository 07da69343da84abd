// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/store"
)

var kept = store.NewTable[string]("kept", 1)

func testReplace(t *testing.T, s *store.Store) {
	for i := range 300 {
		put(t, s, fmt.Sprintf("old-%d", i), i)
	}
	put(t, s, "same", 1)
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return kept.Put(tx, "mark", "as it was") }); err != nil {
		t.Fatal(err)
	}
	// One record that fills most of a batch, and more than one transaction has.
	want := []store.Record{{Table: "kept", ID: "mark", Text: []byte(`{"schema":1,"value":"changed"}`)}}
	want = append(want, store.Record{Table: "texts", ID: "large", Text: []byte(`{"schema":1,"value":"` + strings.Repeat("x", 1<<20-30) + `"}`)})
	for i := range 300 {
		want = append(want, store.Record{Table: "stems", ID: fmt.Sprintf("new-%03d", i), Text: fmt.Appendf(nil, `{"schema":1,"value":{"Height":%d}}`, i)})
	}
	want = append(want, store.Record{Table: "stems", ID: "same", Text: []byte(`{"schema":1,"value":{"Height":1}}`)})
	for range 2 { // as after an interruption
		if err := s.Replace(t.Context(), want, "kept"); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := range snap.Records() {
		got[r.Table+"/"+r.ID] = string(r.Text)
	}
	marks, err := kept.All(snap)
	if err != nil || marks["mark"] != "as it was" {
		t.Errorf("the table to be kept has %v, %v", marks, err)
	}
	delete(got, "kept/mark")
	expected := map[string]string{}
	for _, r := range want[1:] {
		expected[r.Table+"/"+r.ID] = string(r.Text)
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	if err := s.Replace(t.Context(), nil, ""); err != nil {
		t.Fatal(err)
	}
	if snap, err = s.Snapshot(t.Context()); err != nil || len(slices.Collect(snap.Records())) != 0 {
		t.Errorf("a store replaced with nothing holds %d records, %v", len(slices.Collect(snap.Records())), err)
	}
}

func TestRecordsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		id, text, want string
	}{
		"good":         {"a", `{"schema":1,"value":{"Height":3}}`, ""},
		"newer schema": {"a", `{"schema":2,"value":{"Height":3}}`, "/mallee/v1/stems/a has schema 2"},
		"no JSON":      {"a", `{`, "/mallee/v1/stems/a is corrupt"},
		"other type":   {"a", `{"schema":1,"value":"tall"}`, "/mallee/v1/stems/a is corrupt"},
		"slash":        {"a/b", `{"schema":1,"value":{}}`, `"a/b" cannot be an id`},
		"too large":    {"a", `{"schema":1,"value":{"Height":3}}` + strings.Repeat(" ", 1<<20), "/mallee/v1/stems/a has 1048609 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			err := stems.Check(store.Record{Table: "stems", ID: c.id, Text: []byte(c.text)})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
