// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/testing/protocmp"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
)

func list(ncpaths string) terms { return terms{ncpaths: ncpaths} }

func newKeeper(registry *prometheus.Registry) *keeper {
	log := slog.New(slog.DiscardHandler)
	return &keeper{
		connector: newFabric(), resolver: newAtlas(), log: log, reporter: newReporter(log),
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
	goneEarlier := &cloudv1.AttachmentReport{VolumeId: "vol-0000000a", Generation: 7, State: detached}
	gone := &cloudv1.AttachmentReport{VolumeId: "vol-0000000a", Generation: 1, State: detached, Message: "writes were lost"}
	const noWWID = `"none" is no WWID`
	for _, test := range []struct {
		name   string
		wish   wish
		before *cloudv1.AttachmentReport
		want   *cloudv1.AttachmentReport
	}{
		{
			"waits for the SAN's offer",
			wish{noExport, list("nopath")},
			nil,
			&cloudv1.AttachmentReport{State: attaching},
		},
		{
			"cannot be attached",
			wish{wanted, list("nopath")},
			nil,
			&cloudv1.AttachmentReport{State: attaching, Message: noWWID},
		},
		{
			"cannot be looked at, and stays attached",
			wish{wanted, list("nopath")},
			here,
			&cloudv1.AttachmentReport{State: attached, Device: device, SizeBytes: 1 << 30, Message: noWWID},
		},
		{
			"was attached as of an earlier generation",
			wish{wanted, list("nopath")},
			earlier,
			&cloudv1.AttachmentReport{State: attaching, Message: noWWID},
		},
		{
			"unwanted before any offer",
			wish{&cloudv1.DesiredAttachment{VolumeId: "vol-0000000a", Generation: 1}, list("nopath")},
			nil,
			&cloudv1.AttachmentReport{State: detached},
		},
		{
			"cannot be detached",
			wish{unwanted, list("nopath")},
			here,
			&cloudv1.AttachmentReport{State: detaching, Message: noWWID, Device: device, SizeBytes: 1 << 30},
		},
		{
			"detached as of another generation: what has come since is looked for",
			wish{unwanted, list("nopath")},
			goneEarlier,
			&cloudv1.AttachmentReport{State: detaching, Message: noWWID},
		},
		{
			"detached once for all",
			wish{unwanted, list("nopath")},
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
			if diff := cmp.Diff(k.report, k.reporter.latest["vol-0000000a"].report, protocmp.Transform()); diff != "" {
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
		{"the first", wish{unusable("vol-0000000a"), list("nopath")}, true},
		{"the same again", wish{unusable("vol-0000000a"), list("nopath")}, false},
		{"other paths", wish{unusable("vol-0000000a"), list("10.107.1.200")}, true},
		{"a new secret", wish{unusable("vol-0000000a"), terms{ncpaths: "10.107.1.200", chap: connector.CHAP{Username: "nc1"}}}, true},
		{"a new generation", wish{later, list("10.107.1.200")}, true},
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
			k := &keeper{wish: wish{test.wish, list("nopath")}, report: test.report}
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
		{State: "up"}, {State: "up"}, {State: "missing"}, {State: "unresolved"}, {State: "draining"},
	}}
	m.observe(nil, report, time.Now())
	if diff := cmp.Diff(map[string]float64{
		"up vol-0000000a": 2, "missing vol-0000000a": 1, "unresolved vol-0000000a": 1, "draining vol-0000000a": 1,
	}, series()); diff != "" {
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
