// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

type metrics struct {
	paths  *prometheus.GaugeVec
	attach prometheus.Histogram
	detach prometheus.Histogram
}

func newMetrics(r *prometheus.Registry) *metrics {
	buckets := []float64{.1, .25, .5, 1, 2, 4, 8, 16, 32, 64}
	m := &metrics{
		paths: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mallee_node_paths", Help: "Paths of each attached volume, by how they are: those expected, and those that are draining.",
		}, []string{"volume_id", "state"}),
		attach: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mallee_node_attach_seconds", Help: "Time from a wish to a usable device.", Buckets: buckets,
		}),
		detach: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mallee_node_detach_seconds", Help: "Time from the wish to detach until nothing is left on the node.", Buckets: buckets,
		}),
	}
	if r != nil {
		r.MustRegister(m.paths, m.attach, m.detach)
	}
	return m
}

// observe notes what changed from one report about a volume to the next.
func (m *metrics) observe(before, after *cloudv1.AttachmentReport, since time.Time) {
	count := map[mallee.PathState]int{
		mallee.PathUp: 0, mallee.PathJoining: 0, mallee.PathDown: 0, mallee.PathMissing: 0,
		mallee.PathQuarantined: 0, mallee.PathUnresolved: 0, mallee.PathDraining: 0,
	}
	for _, p := range after.GetPaths() {
		count[mallee.PathState(p.GetState())]++
	}
	for state, n := range count {
		m.paths.WithLabelValues(after.GetVolumeId(), string(state)).Set(float64(n))
	}
	// Only what was seen to happen: a node controller that starts and finds a
	// volume attached did not attach it.
	if before == nil || before.GetState() == after.GetState() {
		return
	}
	switch after.GetState() {
	case cloudv1.AttachmentReport_STATE_ATTACHED:
		m.attach.Observe(time.Since(since).Seconds())
	case cloudv1.AttachmentReport_STATE_DETACHED:
		m.detach.Observe(time.Since(since).Seconds())
	}
}

func (m *metrics) forget(volumeID string) {
	m.paths.DeletePartialMatch(prometheus.Labels{"volume_id": volumeID})
}
