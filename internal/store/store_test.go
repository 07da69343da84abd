// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/store/storetest"
)

type stem struct{ Height int }

var stems = store.NewTable[stem]("stems", 1)

// Both kinds of store do the same.
func TestStore(t *testing.T) {
	tests := []struct {
		name string
		run  func(*testing.T, *store.Store)
	}{
		{"replace", testReplace},
		{"transactions", testTransactions},
		{"what is only read is of one moment", testWhatIsOnlyReadIsOfOneMoment},
		{"find", testFind},
		{"watch tells of changes", testWatchTellsOfChanges},
		{"unreadable records are named", testUnreadableRecordsAreNamed}, // and left there
	}
	for kind, open := range map[string]func(t *testing.T) *store.Store{
		"embedded": func(t *testing.T) *store.Store { return open(t, tempDir(t)) },
		"external": func(t *testing.T) *store.Store { return storetest.New(t).Open("clc") },
	} {
		t.Run(kind, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) { test.run(t, s) })
			}
		})
	}
}

// open returns a store in dir. Its sockets need a short path.
func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Log: slog.New(slog.DiscardHandler), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func put(t *testing.T, s *store.Store, id string, height int) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return stems.Put(tx, id, stem{height}) }); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, s *store.Store) map[string]stem {
	t.Helper()
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := stems.All(snap)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRecordsOutliveTheStore(t *testing.T) {
	dir := tempDir(t)
	s := open(t, dir)
	put(t, s, "a", 1)
	put(t, s, "b", 2)
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return stems.Delete(tx, "b") }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	if diff := cmp.Diff(map[string]stem{"a": {1}}, all(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := tempDir(t)
	s := open(t, dir)
	defer s.Close()
	_, err := store.Open(t.Context(), store.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("a second open got %v", err)
	}
}

func testTransactions(t *testing.T, s *store.Store) {
	t.Run("no update is lost", func(t *testing.T) {
		put(t, s, "a", 0)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					err := s.Update(t.Context(), func(tx *store.Tx) error {
						v, _, err := stems.Get(tx, "a")
						if err != nil {
							return err
						}
						v.Height++
						return stems.Put(tx, "a", v)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := all(t, s)["a"].Height; got != 40 {
			t.Errorf("40 increments made %d", got)
		}
	})
	t.Run("what a failed one wrote is not kept", func(t *testing.T) {
		refused := errors.New("refused")
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			if err := stems.Put(tx, "x", stem{1}); err != nil {
				return err
			}
			if v, found, err := stems.Get(tx, "x"); err != nil || !found || v.Height != 1 {
				t.Errorf("a transaction does not see its own write: %v %v %v", v, found, err)
			}
			return refused
		})
		if _, found := all(t, s)["x"]; !errors.Is(err, refused) || found {
			t.Errorf("got error %v, record there: %v", err, found)
		}
	})
	t.Run("limits are named", func(t *testing.T) {
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			for i := range 128 {
				if err := stems.Put(tx, fmt.Sprint(i), stem{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "128 records") {
			t.Errorf("128 records in one transaction: %v", err)
		}
		texts := store.NewTable[string]("texts", 1)
		err = s.Update(t.Context(), func(tx *store.Tx) error { return texts.Put(tx, "a", strings.Repeat("x", 1<<20)) })
		if err == nil || !strings.Contains(err.Error(), "/mallee/v1/texts/a has") {
			t.Errorf("a record beyond 1 MiB: %v", err)
		}
		for _, id := range []string{"", "a/b"} {
			if err := s.Update(t.Context(), func(tx *store.Tx) error { return stems.Put(tx, id, stem{}) }); err == nil {
				t.Errorf("id %q was accepted", id)
			}
		}
	})
}

func testWhatIsOnlyReadIsOfOneMoment(t *testing.T, s *store.Store) {
	put(t, s, "a", 1)
	put(t, s, "b", 1)
	var a, b stem
	tries := 0
	err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
		tries++
		if a, _, err = stems.Get(tx, "a"); err != nil {
			return err
		}
		if tries == 1 { // somebody changes both in between
			put(t, s, "a", 2)
			put(t, s, "b", 2)
		}
		b, _, err = stems.Get(tx, "b")
		return err
	})
	if err != nil || a != b {
		t.Errorf("read %v and %v in one transaction, %v", a, b, err)
	}
}

func testFind(t *testing.T, s *store.Store) {
	put(t, s, "here", 1)
	if got, found, err := stems.Find(t.Context(), s, "here"); err != nil || !found || got.Height != 1 {
		t.Errorf("found %v, %v, %v", got, found, err)
	}
	if got, found, err := stems.Find(t.Context(), s, "elsewhere"); err != nil || found {
		t.Errorf("found %v, %v, %v under an id that has no record", got, found, err)
	}
	if _, _, err := stems.Find(t.Context(), s, "a/b"); err == nil {
		t.Error("an id with a slash was looked up")
	}
}

func testUnreadableRecordsAreNamed(t *testing.T, s *store.Store) {
	for name, c := range map[string]struct {
		write func(*store.Tx) error
		want  string
	}{
		"newer schema": {func(tx *store.Tx) error { return store.NewTable[stem]("stems", 2).Put(tx, "a", stem{}) }, "/mallee/v1/stems/a has schema 2"},
		"other type":   {func(tx *store.Tx) error { return store.NewTable[string]("stems", 1).Put(tx, "a", "tall") }, "/mallee/v1/stems/a is corrupt"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.Update(t.Context(), c.write); err != nil {
				t.Fatal(err)
			}
			snap, err := s.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stems.All(snap); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %s", err, c.want)
			}
		})
	}
}

func testWatchTellsOfChanges(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changed := s.Watch(ctx)
	next := func(what string) {
		t.Helper()
		select {
		case _, open := <-changed:
			if !open {
				t.Fatalf("the watch ended before %s", what)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no signal of %s", what)
		}
	}
	next("the state at the start")
	put(t, s, "a", 1)
	next("a change")
	cancel()
	for range changed { // ends when the watch does
	}
}
