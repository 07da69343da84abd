// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"
)

// scrapeTimeout bounds the run of lvs for one scrape; it is shorter than
// Prometheus' own of 10 s.
const scrapeTimeout = 5 * time.Second

var (
	poolSize     = prometheus.NewDesc("mallee_sp_pool_size_bytes", "Size of the pool.", nil, nil)
	poolFree     = prometheus.NewDesc("mallee_sp_pool_free_bytes", "Room in the pool that no volume has written to.", nil, nil)
	promisedSum  = prometheus.NewDesc("mallee_sp_pool_promised_bytes", "Sizes of all volumes.", nil, nil)
	promiseMax   = prometheus.NewDesc("mallee_sp_pool_promise_limit_bytes", "What the sizes of all volumes may come to.", nil, nil)
	alarmCount   = prometheus.NewDesc("mallee_sp_pool_alarms", "Number of things about the pool that an admin must see to.", nil, nil)
	metadataUsed = prometheus.NewDesc("mallee_sp_pool_metadata_used_ratio", "Share of the pool's room for metadata that is used.", nil, nil)
	volumeCount  = prometheus.NewDesc("mallee_sp_volumes", "Number of volumes.", nil, nil)
	exportCount  = prometheus.NewDesc("mallee_sp_exports", "Number of exports.", nil, nil)
	retiredCount = prometheus.NewDesc("mallee_sp_retired_luns", "Number of LUNs that are kept from other volumes until their nodes have let go.", nil, nil)
)

// collector asks the pool at each scrape.
type collector struct{ s *Server }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolSize, poolFree, promisedSum, promiseMax, alarmCount, metadataUsed, volumeCount, exportCount, retiredCount} {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	ch <- prometheus.MustNewConstMetric(exportCount, prometheus.GaugeValue, float64(len(c.s.exports.established())))
	ch <- prometheus.MustNewConstMetric(retiredCount, prometheus.GaugeValue, float64(len(c.s.exports.Retired())))
	contents, err := c.s.contents(ctx)
	if err != nil {
		c.s.logFailure(ctx, c.s.log, "pool cannot be measured", err)
		ch <- prometheus.NewInvalidMetric(poolSize, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(poolSize, prometheus.GaugeValue, float64(contents.SizeBytes))
	ch <- prometheus.MustNewConstMetric(poolFree, prometheus.GaugeValue, float64(contents.FreeBytes))
	ch <- prometheus.MustNewConstMetric(promisedSum, prometheus.GaugeValue, float64(promised(contents)))
	ch <- prometheus.MustNewConstMetric(promiseMax, prometheus.GaugeValue, float64(c.s.promiseLimit(contents)))
	ch <- prometheus.MustNewConstMetric(alarmCount, prometheus.GaugeValue, float64(len(c.s.alarms(contents))))
	room := room{size: contents.MetadataSizeBytes, free: contents.MetadataFreeBytes}
	ch <- prometheus.MustNewConstMetric(metadataUsed, prometheus.GaugeValue, room.percent()/100)
	ch <- prometheus.MustNewConstMetric(volumeCount, prometheus.GaugeValue, float64(len(contents.Volumes)))
}

func (s *Server) register(r prometheus.Registerer) error {
	s.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mallee_sp_calls_total",
		Help: "Calls at the admin interface, by method and gRPC code.",
	}, []string{"method", "code"})
	if err := r.Register(s.calls); err != nil {
		return err
	}
	return r.Register(collector{s})
}

// count counts a call by how it ended.
func (s *Server) count(method string, err *error) {
	s.calls.WithLabelValues(method, status.Code(*err).String()).Inc()
}
