// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

const volumeA, volumeB = "vol-0000000a", "vol-0000000b"

// offered is an attachment that can be made.
func offered(volumeID string) *cloudv1.DesiredAttachment {
	return &cloudv1.DesiredAttachment{
		VolumeId: volumeID, Generation: 1, Wanted: true,
		Export: &cloudv1.Export{
			Target: "iqn.2026-11.io.mallee:san", Wwid: "360014056d6c6c650123456789abcdef0",
			Portals: []string{"10.107.1.200:3260", "10.108.1.200:3260"},
		},
	}
}

func along(ncpaths string, attachments ...*cloudv1.DesiredAttachment) *cloudv1.NodeState {
	s := state(attachments...)
	s.Ncpaths = ncpaths
	return s
}

// table is the paths of a report's first volume, "state device text", or the portal
// of a path that has no text.
func table(r *cloudv1.NodeReport) []string {
	var list []string
	for _, p := range r.GetAttachments()[0].GetPaths() {
		text := p.GetText()
		if text == "" {
			text = p.GetPortal()
		}
		list = append(list, strings.Join(strings.Fields(p.GetState()+" "+p.GetDevice()+" "+text), " "))
	}
	return list
}

func (c *cloud) awaitTable(t *testing.T, want ...string) *cloudv1.NodeReport {
	t.Helper()
	var last []string
	for began := time.Now(); time.Since(began) < time.Minute; {
		report := <-c.reports
		if len(report.GetAttachments()) == 0 {
			continue
		}
		if last = table(report); slices.Equal(last, want) {
			return report
		}
	}
	t.Fatalf("a minute later the paths are not as wanted (-want +got)\n%s", cmp.Diff(want, last))
	return nil
}

func settledFor(ncpaths string) func(*cloudv1.NodeReport) bool {
	return func(r *cloudv1.NodeReport) bool { return r.GetSettled() && r.GetNcpaths() == ncpaths }
}

func dead(f *fabric, addrs ...string) {
	f.do(func() {
		clear(f.dead)
		for _, a := range addrs {
			f.dead[netip.MustParseAddrPort(a)] = true
		}
	})
}

func TestANodeWithoutAttachmentsSettlesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		c.states <- along("10.107.1.200")
		start := time.Now()
		c.await(settledFor("10.107.1.200"))
		c.states <- along("10.108.1.200")
		c.await(settledFor("10.108.1.200"))
		if d := time.Since(start); d > time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

func TestAChangedListIsSettledWhenAllVolumesHaveOnlyItsPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		const before, after = "10.107.1.200,10.108.1.200", "10.107.1.201,10.108.1.201"
		c.states <- along(before, offered(volumeA), offered(volumeB))
		report := c.await(settledFor(before))
		for _, a := range report.GetAttachments() {
			if a.GetState() != attached || len(a.GetPaths()) != 2 {
				t.Errorf("settled with %v", a)
			}
		}
		c.states <- along(after, offered(volumeA), offered(volumeB))
		report = c.await(func(r *cloudv1.NodeReport) bool {
			if r.GetNcpaths() != after {
				return false
			}
			for _, a := range r.GetAttachments() {
				if a.GetState() != attached || a.GetDevice() == "" {
					t.Errorf("a change of paths has made it %v", a)
				}
				draining := slices.ContainsFunc(a.GetPaths(), func(p *cloudv1.PathReport) bool { return p.GetState() == string(mallee.PathDraining) })
				if r.GetSettled() && draining {
					t.Errorf("settled with %v", a)
				}
			}
			return r.GetSettled()
		})
		if diff := cmp.Diff([]string{"up 10.107.1.201", "up 10.108.1.201"}, table(report)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestAPathThatCannotBeReachedHoldsUpNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		n := startNode(t, c)
		dead(n.fabric, "10.108.1.200:3260")
		<-c.watched
		start := time.Now()
		c.states <- along("10.107.1.200,10.108.1.200", offered(volumeA))
		c.await(settledFor("10.107.1.200,10.108.1.200"))
		if d := time.Since(start); d < settleTime || d > settleTime+5*time.Second {
			t.Errorf("settled after %s", d)
		}
		// What is lost later is a matter of repair.
		dead(n.fabric, "10.107.1.200:3260", "10.108.1.200:3260")
		if report := c.awaitTable(t, "down 10.107.1.200", "missing 10.108.1.200"); !report.GetSettled() {
			t.Error("a path that was lost has unsettled the node")
		}
		// Nor does a volume that somebody does not give back hold up a change.
		dead(n.fabric, "10.109.1.200:3260")
		n.fabric.do(func() { n.inUse[volumeA] = true })
		unwanted := offered(volumeA)
		unwanted.Wanted = false
		c.states <- along("10.107.1.200,10.109.1.200,10.108.1.200", unwanted)
		report := c.await(settledFor("10.107.1.200,10.109.1.200,10.108.1.200"))
		if diff := cmp.Diff([]string{"up 10.107.1.200", "missing 10.109.1.200", "up 10.108.1.200"}, table(report)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A list with nothing that can be resolved or reached takes nothing down, also
// when the node controller is started while it holds.
func TestAListThatLeadsNowhereKeepsThePathsThatAreThere(t *testing.T) {
	for _, test := range []struct{ name, ncpaths, message string }{
		{"no list", "10.107.1.200,,10.108.1.200", "the property ncpaths is not usable: "},
		{"an empty list", "", "the property ncpaths is not usable: "},
		{"a label without mapping", "iface9:10.107.1.201", "no path of ncpaths leads anywhere on this node; iface9:10.107.1.201: no label iface9"},
		{"a name without address", "san9", "no path of ncpaths leads anywhere on this node; san9: no such host san9"},
		{"nobody there", "10.107.1.209", "no path of ncpaths can be reached"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud(t)
				n := node{newFabric(), newAtlas()}
				stop := n.start(t, c)
				dead(n.fabric, "10.107.1.209:3260")
				<-c.watched
				c.states <- along("nopath", offered(volumeA))
				c.await(settledFor("nopath"))

				keeps := func() {
					t.Helper()
					c.states <- along(test.ncpaths, offered(volumeA))
					report := c.await(func(r *cloudv1.NodeReport) bool {
						return len(r.GetAttachments()) == 1 && strings.HasPrefix(r.GetAttachments()[0].GetMessage(), test.message)
					})
					a := report.GetAttachments()[0]
					if !strings.HasSuffix(a.GetMessage(), ": the volume keeps the paths that it has") {
						t.Errorf("message %q", a.GetMessage())
					}
					if a.GetState() != attached || a.GetDevice() != "/dev/mallee/"+volumeA {
						t.Errorf("it is %v", a)
					}
					got := table(report)
					if diff := cmp.Diff([]string{"draining 10.107.1.200:3260", "draining 10.108.1.200:3260"}, got[max(0, len(got)-2):]); diff != "" {
						t.Errorf("paths (-want +got)\n%s", diff)
					}
					if report.GetSettled() || report.GetNcpaths() != test.ncpaths {
						t.Errorf("settled %t for %q", report.GetSettled(), report.GetNcpaths())
					}
				}
				keeps()
				stop()
				synctest.Wait() // until the cloud has seen the stream end
				n.start(t, c)
				<-c.watched
				keeps()
			})
		})
	}
}

func TestAListThatComesBackBeforeTheOtherHasSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		<-c.watched
		c.states <- along("nopath", offered(volumeA))
		c.await(settledFor("nopath"))
		c.states <- along("10.107.1.201,10.108.1.201", offered(volumeA))
		c.awaitTable(t, "joining 10.107.1.201", "joining 10.108.1.201", "draining 10.107.1.200:3260", "draining 10.108.1.200:3260")
		c.states <- along("nopath", offered(volumeA))
		report := c.await(settledFor("nopath"))
		if diff := cmp.Diff([]string{"up 10.107.1.200:3260", "up 10.108.1.200:3260"}, table(report)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestPathsFollowTheirLabelsDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		n := startNode(t, c)
		n.atlas.do(func() { n.labels["iface0"], n.labels["iface1"] = "eth1", "eth2" })
		<-c.watched
		const ncpaths = "iface0:10.107.1.200,iface1:10.108.1.200"
		c.states <- along(ncpaths, offered(volumeA))
		c.awaitTable(t, "up eth1 iface0:10.107.1.200", "up eth2 iface1:10.108.1.200")

		n.atlas.do(func() { n.labels["iface1"] = "eth3" })
		if r := c.awaitTable(t, "up eth1 iface0:10.107.1.200", "joining eth3 iface1:10.108.1.200", "draining eth2 10.108.1.200:3260"); r.GetSettled() {
			t.Error("settled while a path drains")
		}
		report := c.await(settledFor(ncpaths))
		if diff := cmp.Diff([]string{"up eth1 iface0:10.107.1.200", "up eth3 iface1:10.108.1.200"}, table(report)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}

		// A label that is gone leaves the others alone, and the path that it has
		// stood for until there is another.
		n.atlas.do(func() { delete(n.labels, "iface1") })
		c.awaitTable(t, "up eth1 iface0:10.107.1.200", "unresolved iface1:10.108.1.200", "draining eth3 10.108.1.200:3260")
		n.atlas.do(func() { n.labels["iface1"] = "eth3" })
		c.awaitTable(t, "up eth1 iface0:10.107.1.200", "up eth3 iface1:10.108.1.200")
	})
}

func TestADetachNeedsNoLabel(t *testing.T) {
	for _, ncpaths := range []string{"iface0:10.107.1.200,iface0:10.108.1.200", "", "a,,b"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud(t)
			n := startNode(t, c)
			n.atlas.do(func() { n.labels["iface0"] = "eth1" })
			<-c.watched
			c.states <- along("iface0:10.107.1.200,iface0:10.108.1.200", offered(volumeA))
			c.awaitTable(t, "up eth1 iface0:10.107.1.200", "up eth1 iface0:10.108.1.200")
			n.atlas.do(func() { clear(n.labels) })
			n.fabric.do(func() { n.inUse[volumeA] = true })
			unwanted := offered(volumeA)
			unwanted.Wanted = false
			c.states <- along(ncpaths, unwanted)
			report := c.await(func(r *cloudv1.NodeReport) bool { return r.GetAttachments()[0].GetState() == detaching })
			a := report.GetAttachments()[0]
			if !strings.Contains(a.GetMessage(), "in use by mount /mnt") || a.GetDevice() == "" {
				t.Errorf("while it is in use it is %v", a)
			}
			n.fabric.do(func() { n.inUse[volumeA] = false })
			c.await(func(r *cloudv1.NodeReport) bool {
				return r.GetAttachments()[0].GetState() == detached && r.GetSettled()
			})
		})
	}
}

func TestADeviceIsHandedOutWithMinPathsAndStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		n := startNode(t, c)
		dead(n.fabric, "10.108.1.200:3260")
		<-c.watched
		s := along("nopath", offered(volumeA))
		s.MinPaths = 2
		c.states <- s
		report := c.awaitTable(t, "up 10.107.1.200:3260", "missing 10.108.1.200:3260")
		a := report.GetAttachments()[0]
		if a.GetState() != attaching || a.GetDevice() != "" || a.GetMessage() != "1 of 2 paths that storage.minpaths asks for" {
			t.Errorf("with one path it is %v", a)
		}
		dead(n.fabric)
		is := func(want string) {
			t.Helper()
			a := c.awaitTable(t, "up 10.107.1.200:3260", want).GetAttachments()[0]
			if a.GetState() != attached || a.GetDevice() == "" || a.GetMessage() != "" {
				t.Errorf("with %s it is %v", want, a)
			}
		}
		is("up 10.108.1.200:3260")
		dead(n.fabric, "10.108.1.200:3260")
		is("down 10.108.1.200:3260")
	})
}

func TestACloudThatWasStartedAnewIsToldTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		startNode(t, c)
		if w := <-c.watched; w.GetNcpaths() != "" {
			t.Errorf("before any state the node works with %q", w.GetNcpaths())
		}
		c.states <- along("10.107.1.200")
		c.await(settledFor("10.107.1.200"))
		c.hangUp <- struct{}{}
		if w := <-c.watched; w.GetNcpaths() != "10.107.1.200" {
			t.Errorf("after a reconnect the node works with %q", w.GetNcpaths())
		}
	})
}
