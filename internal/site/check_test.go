// SPDX-License-Identifier: Apache-2.0

package site_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// cloud is a cloud controller that collects answers, in the order in which they
// come.
type cloud struct {
	cloudv1.CloudClient
	mu      sync.Mutex
	refuses bool
	answers []*cloudv1.PathCheckAnswer
}

func (c *cloud) AnswerPathCheck(ctx context.Context, answer *cloudv1.PathCheckAnswer, _ ...grpc.CallOption) (*cloudv1.ReportResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.refuses {
		return nil, status.Error(codes.Unavailable, "the test refuses")
	}
	c.answers = append(c.answers, answer)
	return &cloudv1.ReportResponse{}, nil
}

// take returns the answers that have come since.
func (c *cloud) take() []*cloudv1.PathCheckAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers := c.answers
	c.answers = nil
	return answers
}

func check(id, paths string) *cloudv1.PathCheck { return &cloudv1.PathCheck{Id: id, Paths: paths} }

func TestChecksAreAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMachine(), &cloud{}
		s := m.start(t)
		good, probing, bad := check("a", "10.107.1.200,san1"), check("b", "nopath"), check("c", "10.107.1.200,,10.1.1.1")
		probing.Probe = true
		expect := func(want ...*cloudv1.PathCheckAnswer) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, c.take(), protocmp.Transform()); diff != "" {
				t.Errorf("answers (-want +got)\n%s", diff)
			}
		}
		answer := &cloudv1.PathCheckAnswer{Id: "a", Reach: []*cloudv1.Reach{
			{Text: "10.107.1.200", Portal: "10.107.1.200:3260", State: "reachable", Evidence: "session"},
			{Text: "san1", Portal: "10.107.1.201:3260", State: "reachable", Evidence: "neighbour"},
		}}
		s.Check(t.Context(), c, []*cloudv1.PathCheck{good}, nil)
		expect(answer)
		s.Check(t.Context(), c, []*cloudv1.PathCheck{good, probing}, []string{"10.109.1.200:3260"})
		expect(&cloudv1.PathCheckAnswer{Id: "b", Reach: []*cloudv1.Reach{
			{Text: "10.109.1.200:3260", Portal: "10.109.1.200:3260", State: "reachable", Evidence: "tcp"},
		}})
		s.Check(t.Context(), c, []*cloudv1.PathCheck{bad}, nil)
		expect(&cloudv1.PathCheckAnswer{
			Id: "c", Error: `element 2 (at character 14), "": it is empty: write hosts with single commas between`,
		})

		// One that could not be told is told with the next state.
		c.refuses = true
		s.Check(t.Context(), c, []*cloudv1.PathCheck{good}, nil)
		expect()
		c.refuses = false
		s.Check(t.Context(), c, []*cloudv1.PathCheck{good}, nil)
		expect(answer)
		// A cloud controller that was started anew has no answer yet.
		c = &cloud{}
		s.Check(t.Context(), c, []*cloudv1.PathCheck{good}, nil)
		expect(answer)
		s.Wait()
	})
}

func TestChecksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newMachine(), &cloud{}
		m.slow = time.Hour
		s := m.start(t)
		var checks []*cloudv1.PathCheck
		for _, id := range strings.Split("abcdef", "") {
			checks = append(checks, check(id, "10.108.1.200"))
		}
		start := time.Now()
		s.Check(t.Context(), c, checks, nil)
		if time.Since(start) != 0 {
			t.Error("a check holds up who asks")
		}
		s.Wait()
		if d := time.Since(start); d > 10*time.Second || m.most != 4 {
			t.Errorf("six checks took %s, %d at once", d, m.most)
		}
		for _, a := range c.take() {
			if len(a.GetReach()) != 1 || a.GetReach()[0].GetState() != "unknown" || a.GetReach()[0].GetReason() == "" {
				t.Errorf("without time to look the answer is %v", a)
			}
		}
		// Those whose stream has ended are given up.
		ctx, cancel := context.WithCancel(t.Context())
		c = &cloud{}
		s.Check(ctx, c, checks, nil)
		cancel()
		s.Wait()
		if got := c.take(); len(got) != 0 {
			t.Errorf("after its stream has ended a cloud controller was told %v", got)
		}
	})
}
