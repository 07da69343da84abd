// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// A portal that is probed is held up for others, so that machines take turns; the
// call of the API must end all the same.
func TestProbesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v := viewOf(8, "10.107.1.200")
		s, feed := newSites(slog.New(slog.DiscardHandler)), newFeed(v)
		probing, most := make(chan struct{}, 8), 0
		for i := range 8 {
			name := fmt.Sprintf("nc%02d", i)
			st, left := s.openNode(v, name, v.nodes[name], "10.107.1.200")
			go func() {
				defer left()
				_ = send(ctx, feed, st.woken, func(state *cloudv1.NodeState) error {
					for _, check := range state.Checks {
						if check.Probe {
							probing <- struct{}{}
							most = max(most, len(probing))
							time.Sleep(time.Second)
							<-probing
						}
						if i < 3 { // the others are silent
							s.answered(mallee.RoleNC, name, &cloudv1.PathCheckAnswer{Id: check.Id, Reach: []*cloudv1.Reach{{State: string(mallee.Reachable)}}})
						}
					}
					return nil
				}, func(v *view) (*cloudv1.NodeState, error) { return s.addToNode(v.nodeState(v.nodes[name]), st), nil })
			}()
		}
		list := "10.108.1.200"
		begun := time.Now()
		looks := s.look(t.Context(), v, check{partition: partition, key: ncPaths, present: "10.107.1.200", value: &list, probe: true})
		var problems []string
		for _, l := range looks {
			problems = append(problems, l.Problem)
		}
		want := []string{"", "", "", errNoAnswer.Error(), errNoAnswer.Error(), errNoAnswer.Error(), "not asked for want of time", "not asked for want of time"}
		if d := cmp.Diff(want, problems); d != "" {
			t.Error(d)
		}
		if took := time.Since(begun); took != probeTime || most != 1 {
			t.Errorf("it took %v, and %d machines probed at once", took, most)
		}
		cancel()
		synctest.Wait()
	})
}

// One machine that is silent takes all the time that there is. It must not cost a
// set the answers of the others, for one of which it is to be refused.
func TestASilentMachineHidesNoAnswer(t *testing.T) {
	const nodes = 12
	synctest.Test(t, func(t *testing.T) {
		v := viewOf(nodes, "10.107.1.200")
		s := newSites(slog.New(slog.DiscardHandler))
		for i := range nodes {
			name := fmt.Sprintf("nc%02d", i)
			st, left := s.openNode(v, name, v.nodes[name], "10.107.1.200")
			defer left()
			if i == 0 {
				continue
			}
			go func() {
				time.Sleep(time.Second)
				for _, check := range s.addToNode(&cloudv1.NodeState{}, st).Checks {
					s.answered(mallee.RoleNC, name, &cloudv1.PathCheckAnswer{Id: check.Id, Reach: []*cloudv1.Reach{{State: string(mallee.Unreachable)}}})
				}
			}()
		}
		list := "10.108.1.200"
		looks := s.look(t.Context(), v, check{partition: partition, key: ncPaths, present: "10.107.1.200", value: &list})
		for i, l := range looks {
			want := ""
			if i == 0 {
				want = errNoAnswer.Error()
			}
			if l.Problem != want {
				t.Errorf("%s: %q, want %q", l.Site.Name, l.Problem, want)
			}
		}
	})
}
