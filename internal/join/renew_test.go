// SPDX-License-Identifier: Apache-2.0

package join_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
)

func newBundle(t *testing.T, a *ca.CA, validity time.Duration) *rpc.Bundle {
	t.Helper()
	cert, key, root, err := a.Issue(ca.IssueOptions{Role: rpc.NC, Name: "nc1", Partition: "PARTI00", Validity: validity})
	if err != nil {
		t.Fatal(err)
	}
	b, err := rpc.ParseBundle(root, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The time is set right after the start, or the machine was suspended: what was
// far away is due, and no timer knows.
func TestRenewalGoesByTheClockOfTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := ca.OpenOrCreate(filepath.Join(t.TempDir(), "ca"))
		if err != nil {
			t.Fatal(err)
		}
		b := newBundle(t, a, 30*24*time.Hour)
		var tries atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- join.Renewal{
				Bundle: b, Dir: t.TempDir(), CLC: []string{"clc:8774"}, Log: slog.New(slog.DiscardHandler),
				Dial: func(string) (*grpc.ClientConn, error) {
					tries.Add(1)
					return nil, errors.New("no route")
				},
			}.Run(ctx)
		}()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if tries.Load() > 0 {
			t.Errorf("it was renewed after a day of thirty")
		}
		// A bubble's clocks cannot be set apart. One that is due at once stands for
		// the one that is so by the new time.
		b.Take(newBundle(t, a, time.Second))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		before := tries.Load()
		if before < 3 {
			t.Errorf("within five minutes it was tried %d times to renew what was due", before)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if more := tries.Load() - before; more < 10 || more > 20 {
			t.Errorf("for as long as it fails it is tried %d times an hour, want one in five minutes", more)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
