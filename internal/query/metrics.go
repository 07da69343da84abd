// SPDX-License-Identifier: Apache-2.0

package query

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts and times calls. Actions are names of the table and "", codes
// come from the program, so that callers cannot make new series.
type metrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics(api string, r prometheus.Registerer) metrics {
	labels := prometheus.Labels{"api": api}
	m := metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mallee_api_calls_total", Help: "Calls answered, by action and code.", ConstLabels: labels,
		}, []string{"action", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mallee_api_call_seconds", Help: "Time from a call's headers to its answer.", ConstLabels: labels,
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 30},
		}, []string{"action"}),
	}
	r.MustRegister(m.calls, m.seconds)
	return m
}

func (m metrics) observe(action, code string, elapsed time.Duration) {
	m.calls.WithLabelValues(action, code).Inc()
	m.seconds.WithLabelValues(action).Observe(elapsed.Seconds())
}
