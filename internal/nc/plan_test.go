// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
)

func TestPlanJoinsTheListAndTheOffer(t *testing.T) {
	const target, wwid = "iqn.2026-11.io.mallee:san", "360014056d6c6c650123456789abcdef0"
	offered := []string{"10.107.1.200:3260", "10.108.1.200:3260"}
	r := newAtlas()
	r.labels["iface0"] = "eth1"
	r.names["san1"] = []netip.Addr{netip.MustParseAddr("10.107.1.201"), netip.MustParseAddr("2001:db8::1")}
	for _, test := range []struct {
		name     string
		ncpaths  string
		portals  []string // of the export
		want     []string // "device address"
		expected int
		problem  string // in the error; empty for none
	}{
		{"nopath takes what the SAN offers", "nopath", offered, []string{" 10.107.1.200:3260", " 10.108.1.200:3260"}, 2, ""},
		{"nopath of an export that tells no portal", "nopath", nil, []string{" 10.109.1.200:3260"}, 1, ""},
		{"a list is taken as it is", "10.108.1.200,10.109.1.1:3261", offered, []string{" 10.108.1.200:3260", " 10.109.1.1:3261"}, 2, ""},
		{"IPv6", "nopath", []string{"[2001:db8::1]:3260"}, []string{" [2001:db8::1]:3260"}, 1, ""},
		{"a label binds its own element only", "iface0:10.107.1.200,10.108.1.200", offered, []string{"eth1 10.107.1.200:3260", " 10.108.1.200:3260"}, 2, ""},
		{"a label without mapping leaves others alone", "iface9:10.107.1.200,10.108.1.200", offered, []string{" 10.108.1.200:3260"}, 2, ""},
		{"a name is all its addresses", "san1,iface9:10.1.1.1", offered, []string{" 10.107.1.201:3260", " [2001:db8::1]:3260"}, 3, ""},
		{"a name that is not looked up yet may be any number", "san9,10.108.1.200", offered, []string{" 10.108.1.200:3260"}, 33, ""},
		{"nothing resolved", "iface9:10.107.1.200,san9", offered, nil, 33, "no path of ncpaths leads anywhere on this node; iface9:10.107.1.200: no label iface9"},
		{"a list that is none", "10.107.1.200,,10.108.1.200", offered, nil, 33, "the property ncpaths is not usable: element 2"},
		{"no ncpaths", "", offered, nil, 33, "the property ncpaths is not usable"},
		{"portals that are none", "nopath", []string{"san.example.com:3260"}, nil, 33, "the property ncpaths is not usable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			chap := connector.CHAP{Username: "nc1", Password: "OpenSesame"}
			got := newPlan(r, wish{
				&cloudv1.DesiredAttachment{
					VolumeId: "vol-1a2b3c4d", Wanted: true, SizeBytes: 2 << 30,
					Export: &cloudv1.Export{Target: target, Lun: 5, Wwid: wwid, Portals: test.portals},
				},
				terms{ncpaths: test.ncpaths, portals: []string{"10.109.1.200:3260"}, minPaths: 2, chap: chap},
			})
			if test.problem == "" && got.problem != nil ||
				test.problem != "" && (got.problem == nil || !strings.Contains(got.problem.Error(), test.problem)) {
				t.Errorf("problem %v, want %q", got.problem, test.problem)
			}
			want := connector.Volume{
				Name: "vol-1a2b3c4d", WWID: wwid, Target: target, LUN: 5, SizeBytes: 2 << 30, CHAP: chap,
				Expected: test.expected, MinPaths: 2,
			}
			for _, text := range test.want {
				device, addr, _ := strings.Cut(text, " ")
				want.Portals = append(want.Portals, connector.Portal{Addr: netip.MustParseAddrPort(addr), TPGT: 1, NetDevice: device})
			}
			compareAddr := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
			if diff := cmp.Diff(want, got.volume, compareAddr); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReportsAreInTheListsOrderAndDrainingOnesLast(t *testing.T) {
	r := newAtlas()
	r.labels["iface1"] = "eth2"
	p := newPlan(r, wish{&cloudv1.DesiredAttachment{}, terms{ncpaths: "iface9:10.107.1.200, iface1:10.108.1.200:3261,10.109.1.200"}})
	addr := netip.MustParseAddrPort
	status := connector.Status{Paths: []connector.Path{
		{Portal: addr("10.108.1.200:3261"), NetDevice: "eth2", State: connector.PathDown, Disk: "sdb", Reason: "multipathd says failed, faulty"},
		{Portal: addr("10.109.1.200:3260"), State: connector.PathUp, Disk: "sdc"},
		{Portal: addr("10.107.1.200:3260"), NetDevice: "eth1", State: connector.PathDraining, Disk: "sdd", Reason: "kept"},
	}}
	want := []*cloudv1.PathReport{
		{Text: "iface9:10.107.1.200", Interface: "iface9", State: "unresolved", Reason: "no label iface9"},
		{
			Text: "iface1:10.108.1.200:3261", Interface: "iface1", Device: "eth2", Portal: "10.108.1.200:3261",
			State: "down", BlockDev: "sdb", Reason: "multipathd says failed, faulty",
		},
		{Text: "10.109.1.200", Portal: "10.109.1.200:3260", State: "up", BlockDev: "sdc"},
		{Device: "eth1", Portal: "10.107.1.200:3260", State: "draining", BlockDev: "sdd", Reason: "kept"},
	}
	if diff := cmp.Diff(want, p.reports(status), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := p.reports(connector.Status{}); got != nil {
		t.Errorf("without a look there are %v", got)
	}
}

// The connector's words for the states of a path are the cloud's too.
func TestPathStatesAreTheClouds(t *testing.T) {
	for ours, theirs := range map[connector.PathState]mallee.PathState{
		connector.PathUp:          mallee.PathUp,
		connector.PathJoining:     mallee.PathJoining,
		connector.PathDown:        mallee.PathDown,
		connector.PathMissing:     mallee.PathMissing,
		connector.PathQuarantined: mallee.PathQuarantined,
		connector.PathDraining:    mallee.PathDraining,
	} {
		if string(ours) != string(theirs) {
			t.Errorf("%q is %q to the cloud", ours, theirs)
		}
	}
}
