// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/store/storetest"
)

// Two controllers of one cloud, with the same CA, share an external etcd.
func TestASecondControllerStandsBy(t *testing.T) {
	etcd := storetest.New(t).External()
	authority := newAuthority(t, shortDir(t))
	run := func() (ups chan struct{}, stop func()) {
		dir := shortDir(t)
		if err := authority.Install(dir + "/ca"); err != nil {
			t.Fatal(err)
		}
		ups = make(chan struct{}, 10)
		o := quietOptions(dir)
		o.Etcd, o.Log = etcd, slog.New(upHandler{slog.DiscardHandler, ups})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, o) }()
		return ups, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	await := func(ups chan struct{}, who string) {
		t.Helper()
		select {
		case <-ups:
		case <-time.After(patience):
			t.Fatalf("the %s controller did not come up", who)
		}
	}
	first, stopFirst := run()
	await(first, "first")
	second, stopSecond := run()
	defer stopSecond()
	select {
	case <-second:
		t.Fatal("two controllers serve at once")
	case <-time.After(3 * time.Second):
	}
	third, stopThird := run()
	stopThird() // in the midst of its waiting
	stopFirst()
	await(second, "second")
	if len(third) > 0 {
		t.Error("the third controller has served")
	}
}
