// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/agent"
)

const (
	attaching = cloudv1.AttachmentReport_STATE_ATTACHING
	attached  = cloudv1.AttachmentReport_STATE_ATTACHED
	detaching = cloudv1.AttachmentReport_STATE_DETACHING
	detached  = cloudv1.AttachmentReport_STATE_DETACHED
)

// unoffered is an attachment that the SAN does not offer yet: nothing can be
// done for it.
func unoffered(volumeID string, generation uint64) *cloudv1.DesiredAttachment {
	return &cloudv1.DesiredAttachment{VolumeId: volumeID, Generation: generation, Wanted: true}
}

// unusable is an attachment that the SAN offers with an identity that is none,
// so that no device is touched.
func unusable(volumeID string) *cloudv1.DesiredAttachment {
	return &cloudv1.DesiredAttachment{
		VolumeId: volumeID, Generation: 1, Wanted: true,
		Export: &cloudv1.Export{Target: "iqn.2026-11.io.mallee:san", Wwid: "none", Portals: []string{"192.0.2.1:3260"}},
	}
}

func state(attachments ...*cloudv1.DesiredAttachment) *cloudv1.NodeState {
	return &cloudv1.NodeState{InstanceId: "i-1a2b3c4d", Ncpaths: "nopath", Attachments: attachments}
}

// about matches reports about just these volumes.
func about(volumes ...string) func(*cloudv1.NodeReport) bool {
	return func(report *cloudv1.NodeReport) bool {
		var have []string
		for _, a := range report.GetAttachments() {
			have = append(have, a.GetVolumeId())
		}
		return cmp.Equal(have, volumes)
	}
}

func TestReportsAreWholeAlsoAfterAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newCloud(t), newCloud(t)
		startNode(t, first, second)
		if got := <-first.watched; got.GetPartition() != "PARTI00" || got.GetInitiator() != "iqn.2026-11.io.mallee:nc1" {
			t.Errorf("the node says it is %v", got)
		}
		first.states <- state(unoffered("vol-0000000b", 3), unoffered("vol-0000000a", 1))
		want := &cloudv1.NodeReport{Ncpaths: "nopath", Settled: true, Attachments: []*cloudv1.AttachmentReport{
			{VolumeId: "vol-0000000a", Generation: 1, State: attaching},
			{VolumeId: "vol-0000000b", Generation: 3, State: attaching},
		}}
		got := first.await(about("vol-0000000a", "vol-0000000b"))
		noSite := protocmp.IgnoreFields(want, "site")
		if diff := cmp.Diff(want, got, protocmp.Transform(), noSite); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}

		// Nothing has changed, but who answers now may know nothing.
		first.hangUp <- struct{}{}
		<-second.watched
		second.states <- state(unoffered("vol-0000000b", 3), unoffered("vol-0000000a", 1))
		got = <-second.reports
		if diff := cmp.Diff(want, got, protocmp.Transform(), noSite); diff != "" {
			t.Errorf("first report after the reconnect (-want +got)\n%s", diff)
		}

		// And back again, when the other fails too.
		second.hangUp <- struct{}{}
		<-first.watched
	})
}

func TestReportsThatAreRefusedAreToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.refusals = 5
		startNode(t, c)
		<-c.watched
		start := time.Now()
		c.states <- state(unoffered("vol-0000000a", 1))
		c.await(about("vol-0000000a"))
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("told after %s", d)
		}
	})
}

func TestReportsComeWithoutAChangeToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		c.states <- state(unoffered("vol-0000000a", 1))
		c.await(about("vol-0000000a"))
		start := time.Now()
		<-c.reports
		if d := time.Since(start); d > agent.ReportInterval {
			t.Errorf("the next report came after %s, want %s", d, agent.ReportInterval)
		}
	})
}

func TestANewGenerationIsReportedAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		c.states <- state(&cloudv1.DesiredAttachment{VolumeId: "vol-0000000a", Generation: 1})
		is := func(generation uint64, s cloudv1.AttachmentReport_State) func(*cloudv1.NodeReport) bool {
			return func(r *cloudv1.NodeReport) bool {
				a := r.GetAttachments()
				return len(a) == 1 && a[0].GetGeneration() == generation && a[0].GetState() == s
			}
		}
		c.await(is(1, detached))
		c.states <- state(unoffered("vol-0000000a", 2))
		c.await(is(2, attaching))
	})
}

func TestAVolumeThatIsNoLongerNamedIsForgottenWhenNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		c.states <- state(unoffered("vol-0000000a", 1), unoffered("vol-0000000b", 1))
		c.await(about("vol-0000000a", "vol-0000000b"))
		c.states <- state(unoffered("vol-0000000b", 1))
		c.await(about("vol-0000000b"))
	})
}

// A state that says nothing of a volume that is here must destroy nothing.
func TestAVolumeThatIsNoLongerNamedStaysWhileItIsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		c.states <- state(unusable("vol-0000000a"))
		c.await(about("vol-0000000a"))
		c.states <- state(unoffered("vol-0000000b", 1))
		got := c.await(about("vol-0000000a", "vol-0000000b"))
		if s := got.GetAttachments()[0].GetState(); s != attaching {
			t.Errorf("it is now %v", s)
		}
		c.states <- state()
		c.await(about("vol-0000000a"))
	})
}
