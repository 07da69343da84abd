// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
)

// Old revisions fill the quota, and are dropped when they have.
func TestAFullQuotaIsMended(t *testing.T) {
	const quota = 16 << 20
	s, err := store.Open(t.Context(), store.Options{Dir: tempDir(t), Log: slog.New(slog.DiscardHandler), QuotaBytes: quota, UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	texts := store.NewTable[string]("texts", 1)
	write := func(n int) error {
		return s.Update(t.Context(), func(tx *store.Tx) error {
			return texts.Put(tx, "a", strings.Repeat(string(rune('a'+n%26)), 900<<10))
		})
	}
	put(t, s, "kept", 7)
	refused, after := 0, 0
	for n, deadline := 0, time.Now().Add(time.Minute); after < 3 && time.Now().Before(deadline); n++ {
		err := write(n)
		switch {
		case err == nil && refused > 0:
			after++
		case err != nil && (mallee.KindOf(err) != mallee.Unavailable || !strings.Contains(err.Error(), "quota")):
			t.Fatal(err)
		case err != nil:
			refused++
			if got := all(t, s)["kept"].Height; got != 7 {
				t.Fatalf("while the store is full a record reads as %d", got)
			}
			usage, err := s.Usage(t.Context())
			if err != nil || usage.QuotaBytes != quota || usage.Bytes == 0 || usage.DiskFree == 0 {
				t.Fatalf("the usage is told as %+v, %v", usage, err)
			}
		}
	}
	if refused == 0 || after == 0 {
		t.Errorf("%d writes were refused, and then %d taken", refused, after)
	}
	if got := all(t, s)["kept"].Height; got != 7 {
		t.Errorf("a record has become %d", got)
	}
}
