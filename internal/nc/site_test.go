// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

func TestTheNodeTellsHowItReachesThePathsOfItsList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		n := startNode(t, c)
		dead(n.fabric, "10.108.1.200:3260")
		<-c.watched
		reaches := func(portal, state, evidence, reason string) *cloudv1.Reach {
			return &cloudv1.Reach{Text: portal, Portal: portal, State: state, Evidence: evidence, Reason: reason}
		}
		expect := func(want ...*cloudv1.Reach) {
			t.Helper()
			c.await(func(r *cloudv1.NodeReport) bool {
				return cmp.Equal(want, r.GetSite().GetReach(), protocmp.Transform())
			})
		}
		s := along("nopath")
		s.Portals = []string{"10.107.1.200:3260", "10.108.1.200:3260"}
		c.states <- s
		expect(reaches("10.107.1.200:3260", "reachable", "neighbour", ""), reaches("10.108.1.200:3260", "unreachable", "", "it does not answer"))
		// Without the SAN's word the exports tell what there is, and a session is
		// the best evidence.
		c.states <- along("nopath", offered(volumeA))
		expect(reaches("10.107.1.200:3260", "reachable", "session", ""), reaches("10.108.1.200:3260", "unreachable", "", "it does not answer"))
		dead(n.fabric)
		expect(reaches("10.107.1.200:3260", "reachable", "session", ""), reaches("10.108.1.200:3260", "reachable", "session", ""))
	})
}

// A cloud that rolls a list out goes by what nodes say of it.
func TestReachIsToldOfTheListOnlyThatTheNodeWorksWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		for _, ncpaths := range []string{"10.107.1.200", "10.108.1.200", "10.107.1.200"} {
			c.states <- along(ncpaths)
			c.await(func(r *cloudv1.NodeReport) bool {
				reach := r.GetSite().GetReach()
				if len(reach) > 0 && reach[0].GetText() != r.GetNcpaths() {
					t.Errorf("a node that works with %s tells %v", r.GetNcpaths(), reach)
				}
				return len(reach) > 0 && r.GetNcpaths() == ncpaths
			})
		}
	})
}

func TestChecksAreAnsweredWhileVolumesAreAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		s := along("nopath", offered(volumeA))
		s.Checks = []*cloudv1.PathCheck{{Id: "a", Paths: "nopath"}, {Id: "b", Paths: "iface9:10.107.1.200"}}
		c.states <- s
		// Nobody takes the answers yet; the volume comes up all the same.
		report := c.await(settledFor("nopath"))
		if a := report.GetAttachments()[0]; a.GetState() != attached {
			t.Errorf("it is %v", a)
		}
		got := map[string][]*cloudv1.Reach{}
		for range s.GetChecks() {
			answer := <-c.answers
			got[answer.GetId()] = answer.GetReach()
		}
		if len(got["a"]) != 2 || len(got["b"]) != 1 || got["b"][0].GetState() != "unresolved" {
			t.Errorf("answers %v", got)
		}
	})
}
