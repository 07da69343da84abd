// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// fleet is a partition of nodes that take a while to settle for a list of paths.
type fleet struct {
	sites *sites
	feed  *feed

	mu     sync.Mutex
	moving int
	most   int // that moved at once
}

// viewOf is of a partition of busy nodes whose ncpaths is list.
func viewOf(nodes int, list string) *view {
	v := &view{
		nodes: map[string]nodeRecord{}, properties: map[string]propertyRecord{partition + "." + ncPaths: {Value: list}},
		instances: map[mallee.InstanceID]string{}, byInstance: map[mallee.InstanceID][]string{},
	}
	for i := range nodes {
		name, instance := fmt.Sprintf("nc%02d", i), mallee.InstanceID(fmt.Sprintf("i-%08x", i))
		v.nodes[name] = nodeRecord{Partition: partition, InstanceID: instance}
		v.instances[instance] = name
		v.byInstance[instance] = []string{"vol-00000001"}
	}
	return v
}

// join connects a node that works with a list, and has it follow what it is told
// until ctx ends.
func (f *fleet) join(ctx context.Context, name, works string) {
	v, _ := f.feed.current()
	st, left := f.sites.openNode(v, name, v.nodes[name], works)
	go func() {
		defer left()
		_ = send(ctx, f.feed, st.woken, func(state *cloudv1.NodeState) error {
			if state.Ncpaths != works {
				f.move(+1)
				f.report(name, state.Ncpaths, false)
				time.Sleep(3 * time.Second)
				works = state.Ncpaths
				f.move(-1)
			}
			f.report(name, works, true)
			return nil
		}, func(v *view) (*cloudv1.NodeState, error) {
			return f.sites.addToNode(v.nodeState(v.nodes[name]), st), nil
		})
	}()
}

func (f *fleet) move(by int) (moving int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moving += by
	f.most = max(f.most, f.moving)
	return f.moving
}

func (f *fleet) report(name, works string, settled bool) {
	f.sites.nodeReported(name, &cloudv1.NodeReport{
		Ncpaths: works, Settled: settled, Site: &cloudv1.Site{Reach: []*cloudv1.Reach{{Text: works, State: string(mallee.Reachable)}}},
	})
}

// with counts the nodes that work with a list.
func (f *fleet) with(list string) (n int) {
	f.sites.mu.Lock()
	defer f.sites.mu.Unlock()
	for _, st := range f.sites.stations {
		if st.site.Paths == list && st.site.Settled {
			n++
		}
	}
	return n
}

func TestNodesChangeAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := &fleet{sites: newSites(slog.New(slog.DiscardHandler)), feed: newFeed(viewOf(40, "10.107.1.200"))}
		go f.sites.run(ctx, f.feed)
		for i := range 40 {
			f.join(ctx, fmt.Sprintf("nc%02d", i), "10.107.1.200")
		}
		time.Sleep(time.Second)
		synctest.Wait()

		f.feed.publish(viewOf(40, "10.108.1.200"))
		time.Sleep(10 * time.Second)
		if n := f.with("10.108.1.200"); n == 0 || n == 40 {
			t.Errorf("after 10 s %d of 40 nodes have the new list", n)
		}
		// Changed back in the middle, and then to a third list.
		f.feed.publish(viewOf(40, "10.107.1.200"))
		time.Sleep(5 * time.Second)
		f.feed.publish(viewOf(40, "10.109.1.200"))
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if n := f.with("10.109.1.200"); n != 40 {
			t.Errorf("%d of 40 nodes have the last list", n)
		}
		if f.most != 4 {
			t.Errorf("%d nodes moved at once, want one in ten", f.most)
		}
		if lines := f.sites.changing(partition); lines != nil {
			t.Errorf("all is done, and people are told %q", lines)
		}
	})
}

// A cloud controller that is started in the middle of a change finds out how far
// it has come from the nodes as they connect.
func TestChangeGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := &fleet{sites: newSites(slog.New(slog.DiscardHandler)), feed: newFeed(viewOf(20, "10.108.1.200"))}
		go f.sites.run(ctx, f.feed)
		for i := range 20 {
			works := "10.107.1.200"
			if i%3 == 0 {
				works = "10.108.1.200"
			}
			f.join(ctx, fmt.Sprintf("nc%02d", i), works)
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if n := f.move(0); i < 19 && n > 0 {
				t.Fatalf("%d nodes move while %d have not yet connected", n, 19-i)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := f.with("10.108.1.200"); n != 20 || f.most != 2 {
			t.Errorf("%d of 20 nodes have the list, and %d moved at once, want 2", n, f.most)
		}
	})
}

// A node may go at any moment of a change, and come again.
func TestNodesComeAndGoDuringChanges(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lists := []string{"10.107.1.200", "10.108.1.200"}
	v := viewOf(4, lists[0])
	s := newSites(slog.New(slog.DiscardHandler))
	var changing, nodes sync.WaitGroup
	changing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			s.step(viewOf(4, lists[i%2]), time.Now().Add(time.Hour)) // past the start, when it holds
		}
	})
	for name, r := range v.nodes {
		nodes.Go(func() {
			for range 2000 {
				_, left := s.openNode(v, name, r, lists[0])
				left()
			}
		})
	}
	nodes.Wait()
	cancel()
	changing.Wait()
}
