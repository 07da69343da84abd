// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
)

func TestVolumeJoinsPathsAndPortals(t *testing.T) {
	const target, wwid = "iqn.2026-11.io.mallee:san", "360014056d6c6c650123456789abcdef0"
	offered := []string{"10.107.1.200:3260", "10.108.1.200:3260"}
	for _, test := range []struct {
		name    string
		ncpaths string
		portals []string
		want    []string
		err     string // in the error; empty for none
	}{
		{"nopath takes what the SAN offers", "nopath", offered, offered, ""},
		{"a list is taken as it is", "10.108.1.200,10.109.1.1:3261", offered, []string{"10.108.1.200:3260", "10.109.1.1:3261"}, ""},
		{"IPv6", "nopath", []string{"[2001:db8::1]:3260"}, []string{"[2001:db8::1]:3260"}, ""},
		{"a list that is none", "10.107.1.200,,10.108.1.200", offered, nil, "the property ncpaths is not usable: element 2"},
		{"no ncpaths", "", offered, nil, "the property ncpaths is not usable"},
		{"portals that are none", "nopath", []string{"san.example.com:3260"}, nil, "the SAN's portals are not usable"},
		{"no portal", "nopath", nil, nil, "the SAN tells no portal"},
		{"no portal, but a list", "10.107.1.200", nil, []string{"10.107.1.200:3260"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := volume(wish{
				&cloudv1.DesiredAttachment{
					VolumeId: "vol-1a2b3c4d", Wanted: true, SizeBytes: 2 << 30,
					Export: &cloudv1.Export{Target: target, Lun: 5, Wwid: wwid, Portals: test.portals},
				},
				test.ncpaths,
				connector.CHAP{Username: "nc1", Password: "OpenSesame"},
			})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := connector.Volume{Name: "vol-1a2b3c4d", WWID: wwid, Target: target, LUN: 5, SizeBytes: 2 << 30, CHAP: connector.CHAP{Username: "nc1", Password: "OpenSesame"}}
			for _, addr := range test.want {
				want.Portals = append(want.Portals, connector.Portal{Addr: netip.MustParseAddrPort(addr), TPGT: 1})
			}
			compareAddr := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
			if diff := cmp.Diff(want, got, compareAddr); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
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
	} {
		if string(ours) != string(theirs) {
			t.Errorf("%q is %q to the cloud", ours, theirs)
		}
	}
	status := connector.Status{Paths: []connector.Path{
		{Portal: netip.MustParseAddrPort("10.107.1.200:3260"), State: connector.PathDown, Disk: "sdb", Reason: "multipathd says failed, faulty"},
	}}
	want := []*cloudv1.PathReport{{Portal: "10.107.1.200:3260", State: "down", BlockDev: "sdb", Reason: "multipathd says failed, faulty"}}
	if diff := cmp.Diff(want, paths(status), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func newKeeper(registry *prometheus.Registry) *keeper {
	log := slog.New(slog.DiscardHandler)
	return &keeper{
		connector: connector.New(connector.Options{}), log: log, reporter: newReporter(),
		metrics: newMetrics(registry), changed: make(chan struct{}, 1),
	}
}

func TestStep(t *testing.T) {
	const device = "/dev/mallee/vol-0000000a"
	wanted, unwanted := unusable("vol-0000000a"), unusable("vol-0000000a")
	unwanted.Wanted = false
	noExport := unoffered("vol-0000000a", 1)
	here := &cloudv1.AttachmentReport{VolumeId: "vol-0000000a", Generation: 1, State: attached, Device: device, SizeBytes: 1 << 30}
	earlier := &cloudv1.AttachmentReport{VolumeId: "vol-0000000a", Generation: 0, State: attached, Device: device}
	gone := &cloudv1.AttachmentReport{VolumeId: "vol-0000000a", Generation: 1, State: detached, Message: "writes were lost"}
	const noWWID = `"none" is no WWID: it must be 3 and the digits of an NAA designator`
	for _, test := range []struct {
		name   string
		wish   wish
		before *cloudv1.AttachmentReport
		want   *cloudv1.AttachmentReport
	}{
		{
			"waits for the SAN's offer",
			wish{DesiredAttachment: noExport, ncpaths: "nopath"},
			nil,
			&cloudv1.AttachmentReport{State: attaching},
		},
		{
			"cannot be attached",
			wish{DesiredAttachment: wanted, ncpaths: "nopath"},
			nil,
			&cloudv1.AttachmentReport{State: attaching, Message: noWWID},
		},
		{
			"cannot be looked at, and stays attached",
			wish{DesiredAttachment: wanted, ncpaths: "nopath"},
			here,
			&cloudv1.AttachmentReport{State: attached, Device: device, SizeBytes: 1 << 30, Message: noWWID},
		},
		{
			"paths that are none leave it attached",
			wish{DesiredAttachment: wanted, ncpaths: "10.107.1.200,,10.108.1.200"},
			here,
			&cloudv1.AttachmentReport{State: attached, Device: device, SizeBytes: 1 << 30, Message: "the property ncpaths is not usable: " +
				`element 2 (at character 14), "": it is empty: write hosts with single commas between`},
		},
		{
			"was attached as of an earlier generation",
			wish{DesiredAttachment: wanted, ncpaths: "nopath"},
			earlier,
			&cloudv1.AttachmentReport{State: attaching, Message: noWWID},
		},
		{
			"unwanted before any offer",
			wish{DesiredAttachment: &cloudv1.DesiredAttachment{VolumeId: "vol-0000000a", Generation: 1}, ncpaths: "nopath"},
			nil,
			&cloudv1.AttachmentReport{State: detached},
		},
		{
			"cannot be detached",
			wish{DesiredAttachment: unwanted, ncpaths: "nopath"},
			here,
			&cloudv1.AttachmentReport{State: detaching, Message: noWWID, Device: device, SizeBytes: 1 << 30},
		},
		{
			"detached once for all",
			wish{DesiredAttachment: unwanted, ncpaths: "nopath"},
			gone,
			&cloudv1.AttachmentReport{State: detached, Message: "writes were lost"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKeeper(nil)
			k.report = test.before
			k.set(test.wish)
			k.step(t.Context())
			test.want.VolumeId, test.want.Generation = "vol-0000000a", 1
			if diff := cmp.Diff(test.want, k.report, protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(k.report, k.reporter.latest["vol-0000000a"], protocmp.Transform()); diff != "" {
				t.Errorf("what is told differs (-found +told)\n%s", diff)
			}
		})
	}
}

func TestOnlyANewWishWakesItsKeeper(t *testing.T) {
	k := newKeeper(nil)
	woken := func() bool {
		select {
		case <-k.changed:
			return true
		default:
			return false
		}
	}
	later := unusable("vol-0000000a")
	later.Generation = 2
	for _, step := range []struct {
		name string
		wish wish
		want bool
	}{
		{"the first", wish{DesiredAttachment: unusable("vol-0000000a"), ncpaths: "nopath"}, true},
		{"the same again", wish{DesiredAttachment: unusable("vol-0000000a"), ncpaths: "nopath"}, false},
		{"other paths", wish{DesiredAttachment: unusable("vol-0000000a"), ncpaths: "10.107.1.200"}, true},
		{"a new secret", wish{unusable("vol-0000000a"), "10.107.1.200", connector.CHAP{Username: "nc1"}}, true},
		{"a new generation", wish{DesiredAttachment: later, ncpaths: "10.107.1.200"}, true},
	} {
		k.set(step.wish)
		if got := woken(); got != step.want {
			t.Errorf("%s: woken %t, want %t", step.name, got, step.want)
		}
	}
}

func TestReleased(t *testing.T) {
	for _, test := range []struct {
		name   string
		wish   *cloudv1.DesiredAttachment
		report *cloudv1.AttachmentReport
		want   bool
	}{
		{"never offered", unoffered("vol-0000000a", 1), nil, true},
		{"not yet looked at", unusable("vol-0000000a"), nil, false},
		{"attached", unusable("vol-0000000a"), &cloudv1.AttachmentReport{Generation: 1, State: attached}, false},
		{"detached", unusable("vol-0000000a"), &cloudv1.AttachmentReport{Generation: 1, State: detached}, true},
		{"detached as of an earlier generation", unusable("vol-0000000a"), &cloudv1.AttachmentReport{State: detached}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := &keeper{wish: wish{DesiredAttachment: test.wish, ncpaths: "nopath"}, report: test.report}
			if got := k.released(); got != test.want {
				t.Errorf("released is %t, want %t", got, test.want)
			}
		})
	}
}

func TestPathsAreCountedByState(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	series := func() map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]float64{}
		for _, f := range families {
			for _, s := range f.GetMetric() {
				if g := s.GetGauge(); g != nil && g.GetValue() > 0 {
					have[s.GetLabel()[0].GetValue()+" "+s.GetLabel()[1].GetValue()] = g.GetValue()
				}
			}
		}
		return have
	}
	report := &cloudv1.AttachmentReport{VolumeId: "vol-0000000a", State: attached, Paths: []*cloudv1.PathReport{
		{State: "up"}, {State: "up"}, {State: "missing"},
	}}
	m.observe(nil, report, time.Now())
	if diff := cmp.Diff(map[string]float64{"up vol-0000000a": 2, "missing vol-0000000a": 1}, series()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	after := &cloudv1.AttachmentReport{VolumeId: "vol-0000000a", State: attached, Paths: []*cloudv1.PathReport{{State: "up"}}}
	m.observe(report, after, time.Now())
	if diff := cmp.Diff(map[string]float64{"up vol-0000000a": 1}, series()); diff != "" {
		t.Errorf("a path that is no longer expected is still counted (-want +got)\n%s", diff)
	}
	m.forget("vol-0000000a")
	if got := series(); len(got) != 0 {
		t.Errorf("after it was forgotten: %v", got)
	}
}
