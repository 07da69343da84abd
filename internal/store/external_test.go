// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/store/storetest"
)

// patience bounds waits that end as soon as what they wait for is there.
const patience = 30 * time.Second

// await waits for a signal of a watch.
func await(t *testing.T, changed <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(patience):
		t.Fatalf("the watch did not tell of %s", what)
	}
}

// drain takes the signals that are there by now.
func drain(changed <-chan struct{}) {
	select {
	case <-changed:
	default:
	}
}

func TestAMemberDiesUnderLoad(t *testing.T) {
	t.Parallel()
	cluster := storetest.New(t)
	s := cluster.Open("clc")
	defer s.Close()
	changed := s.Watch(t.Context())
	await(t, changed, "the state at the start")

	const writers, before, after = 4, 20, 20
	var killed, reached sync.WaitGroup
	reached.Add(writers)
	killed.Add(1)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range before + after {
				if i == before/2 { // the kill comes in the midst of it
					reached.Done()
				}
				if i == before {
					killed.Wait()
				}
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					v, _, err := stems.Get(tx, "shared")
					if err != nil {
						return err
					}
					v.Height++
					if err := stems.Put(tx, "shared", v); err != nil {
						return err
					}
					own := fmt.Sprintf("%d-%d", w, i)
					if _, _, err := stems.Get(tx, own); err != nil {
						return err
					}
					return stems.Put(tx, own, stem{i})
				})
				if err != nil {
					t.Errorf("write %d of writer %d: %v", i, w, err)
				}
			}
		})
	}
	reached.Wait()
	cluster.Kill(cluster.Leader())
	killed.Done()
	wg.Wait()

	got := all(t, s)
	if want := writers*(before+after) + 1; len(got) != want {
		t.Errorf("%d records, want %d", len(got), want)
	}
	if got["shared"].Height != writers*(before+after) {
		t.Errorf("%d increments made %d", writers*(before+after), got["shared"].Height)
	}
	drain(changed)
	put(t, s, "late", 1)
	await(t, changed, "a change after the death")
}

func TestTheMajorityIsGoneForAWhile(t *testing.T) {
	t.Parallel()
	cluster := storetest.New(t)
	s := cluster.Open("clc")
	defer s.Close()
	changed := s.Watch(t.Context())
	await(t, changed, "the state at the start")
	put(t, s, "a", 1)
	cluster.Kill(0)
	cluster.Kill(1)

	var wg sync.WaitGroup
	for name, call := range map[string]func(context.Context) error{
		"write": func(ctx context.Context) error {
			return s.Update(ctx, func(tx *store.Tx) error { return stems.Put(tx, "a", stem{2}) })
		},
		"read": func(ctx context.Context) error { _, err := s.Snapshot(ctx); return err },
	} {
		wg.Go(func() {
			began := time.Now()
			err := call(t.Context())
			if mallee.KindOf(err) != mallee.Unavailable || !strings.Contains(err.Error(), "etcd does not answer") {
				t.Errorf("%s without a majority: %v", name, err)
			}
			if d := time.Since(began); d > 15*time.Second {
				t.Errorf("%s took %v to fail", name, d)
			}
		})
	}
	wg.Wait()

	cluster.Revive(0)
	drain(changed)
	put(t, s, "b", 1)
	if got := all(t, s); got["a"].Height == 0 || got["b"].Height != 1 {
		t.Errorf("after the majority is back: %v", got)
	}
	await(t, changed, "a change after the majority was back")
}

func TestOneControllerAtATime(t *testing.T) {
	t.Parallel()
	cluster := storetest.New(t)
	first := cluster.Open("first")
	defer first.Close()

	var told strings.Builder
	second := make(chan *store.Store, 1)
	go func() {
		log := slog.New(slog.NewTextHandler(&told, nil))
		s, err := store.Open(t.Context(), store.Options{External: cluster.External(), Name: "second", Log: log})
		if err != nil {
			t.Error(err)
		}
		second <- s
	}()
	select {
	case <-second:
		t.Fatal("two stores are open at once")
	case <-time.After(3 * time.Second):
	}
	revokeLease(t, cluster)
	s := <-second
	if s == nil {
		t.FailNow()
	}
	defer s.Close()
	if !strings.Contains(told.String(), "standing by") || !strings.Contains(told.String(), "holder=first") {
		t.Errorf("who stood by has logged %q", told.String())
	}
	put(t, s, "a", 2)
	err := first.Update(t.Context(), func(tx *store.Tx) error { return stems.Put(tx, "a", stem{1}) })
	if mallee.KindOf(err) != mallee.Unavailable || !strings.Contains(err.Error(), "another cloud controller") {
		t.Errorf("a write without the lease: %v", err)
	}
	if got := all(t, s)["a"].Height; got != 2 {
		t.Errorf("who has lost the lease has written %d", got)
	}
	select {
	case err := <-first.Failed():
		if !strings.Contains(err.Error(), "lease is lost") {
			t.Errorf("the loss is told as %v", err)
		}
	case <-time.After(patience):
		t.Error("who has lost the lease is not told")
	}
}

// revokeLease ends the lease, as etcd does when its holder is cut off.
func revokeLease(t *testing.T, cluster *storetest.Cluster) {
	t.Helper()
	c := cluster.Client()
	defer c.Close()
	resp, err := c.Get(t.Context(), "/mallee/lease")
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("the lease: %v, %v", resp, err)
	}
	if _, err := c.Revoke(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
}

func TestUnusableClustersAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		external store.External
		want     string
	}{
		"no authorities": {store.External{CAFile: "/nowhere/ca.pem"}, "/nowhere/ca.pem"},
		"no certificate": {store.External{CertFile: "/nowhere/cert.pem", KeyFile: "/nowhere/key.pem"}, "/nowhere/cert.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			test.external.Endpoints = []string{"https://127.0.0.1:1"}
			_, err := store.Open(t.Context(), store.Options{External: test.external, Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "https://127.0.0.1:1") {
				t.Errorf("got %v, want an error with %s", err, test.want)
			}
		})
	}
}
