// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
)

// metrics are what the storage controller counts. Its gauge of the SAN is the
// one to alert on.
type metrics struct {
	up         prometheus.Gauge
	operations *prometheus.HistogramVec
}

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mallee_sc_san_up", Help: "1 while the SAN tells what it holds.",
		}),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mallee_sc_operation_seconds", Help: "Operations on the SAN, by kind of error; none is \"ok\".",
			Buckets: prometheus.ExponentialBuckets(0.05, 2, 12),
		}, []string{"operation", "result"}),
	}
	r.MustRegister(m.up, m.operations)
	return m
}

func (m *metrics) sanUp(up bool) {
	if up {
		m.up.Set(1)
	} else {
		m.up.Set(0)
	}
}

func (m *metrics) operation(op string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = string(mallee.KindOf(err))
	}
	m.operations.WithLabelValues(op, result).Observe(took.Seconds())
}
