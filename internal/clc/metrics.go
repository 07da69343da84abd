// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
)

// usageTimeout is for how long a scrape waits for the store.
const usageTimeout = 5 * time.Second

// metrics counts what there is at the moment it is asked.
type metrics struct {
	c                                  *Controller
	volumes, attachments, nodes, paths *prometheus.Desc
	// of the pool of a partition
	pool, unused, promised, limit, metadata, unusedMetadata, alarms *prometheus.Desc
	// of the store
	stored, quota, disk *prometheus.Desc
}

func newMetrics(c *Controller) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("mallee_clc_"+name, help, labels, nil)
	}
	return &metrics{
		c:           c,
		volumes:     desc("volumes", "Volumes by state.", "state"),
		attachments: desc("attachments", "Attachments by state.", "state"),
		nodes:       desc("nodes", "Nodes by whether their agent is connected.", "live"),
		paths:       desc("paths", "Expected paths of all attachments by state.", "state"),
		pool:        desc("pool_size_bytes", "Capacity of a partition's pool.", "partition"),
		unused:      desc("pool_free_bytes", "Free room in a partition's pool.", "partition"),

		promised:       desc("pool_promised_bytes", "Sizes of all volumes of a partition's pool.", "partition"),
		limit:          desc("pool_promise_limit_bytes", "What may be promised of a partition's pool.", "partition"),
		metadata:       desc("pool_metadata_size_bytes", "Capacity of a partition's pool for metadata.", "partition"),
		unusedMetadata: desc("pool_metadata_free_bytes", "Free room for metadata in a partition's pool.", "partition"),
		alarms:         desc("pool_alarms", "What somebody must see to in a partition's pool.", "partition"),

		stored: desc("store_size_bytes", "Size of etcd's database, old revisions included."),
		quota:  desc("store_quota_bytes", "Size that etcd's database may have."),
		disk:   desc("store_disk_free_bytes", "Room on the disk of an embedded etcd."),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.volumes, m.attachments, m.nodes, m.paths, m.pool, m.unused, m.promised, m.limit, m.metadata, m.unusedMetadata, m.alarms,
		m.stored, m.quota, m.disk,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A state that nothing is in is
// counted as 0, so that an alert on it has something to look at.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	v, _ := m.c.feed.current()
	byVolumeState := map[mallee.VolumeState]int{
		mallee.VolumeCreating: 0, mallee.VolumeAvailable: 0, mallee.VolumeInUse: 0, mallee.VolumeDeleting: 0, mallee.VolumeError: 0,
	}
	for _, r := range v.volumes {
		byVolumeState[r.State]++
	}
	emit(ch, m.volumes, byVolumeState)

	byAttachmentState := map[mallee.AttachmentState]int{mallee.Attaching: 0, mallee.Attached: 0, mallee.Detaching: 0}
	for _, a := range v.attachments {
		byAttachmentState[a.State]++
	}
	emit(ch, m.attachments, byAttachmentState)

	byLive := map[string]int{"true": 0, "false": 0}
	for name := range v.nodes {
		live, _ := m.c.presence.node(name)
		byLive[strconv.FormatBool(live)]++
	}
	emit(ch, m.nodes, byLive)

	byPathState := map[mallee.PathState]int{
		mallee.PathUp: 0, mallee.PathJoining: 0, mallee.PathDown: 0, mallee.PathMissing: 0, mallee.PathQuarantined: 0,
		mallee.PathUnresolved: 0, mallee.PathDraining: 0,
	}
	for _, p := range m.c.currentPaths(v) {
		byPathState[p.State]++
	}
	emit(ch, m.paths, byPathState)

	m.collectStore(ch)
	for name := range v.partitions {
		pool := m.c.presence.pool(name)
		if pool == nil {
			continue // not known since the start; 0 would be a pool that is full
		}
		for desc, n := range map[*prometheus.Desc]uint64{
			m.pool: pool.SizeBytes, m.unused: pool.FreeBytes, m.promised: pool.PromisedBytes, m.limit: pool.PromiseLimitBytes,
			m.metadata: pool.MetadataSizeBytes, m.unusedMetadata: pool.MetadataFreeBytes, m.alarms: uint64(len(pool.Alarms)),
		} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), name)
		}
	}
}

// collectStore tells nothing of a store that does not answer: a 0 would be taken
// for one that is empty.
func (m *metrics) collectStore(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), usageTimeout)
	defer cancel()
	usage, err := m.c.store.Usage(ctx)
	if err != nil {
		m.c.log.WarnContext(ctx, "cannot tell how full the store is", "error", err)
		return
	}
	ch <- prometheus.MustNewConstMetric(m.stored, prometheus.GaugeValue, float64(usage.Bytes))
	ch <- prometheus.MustNewConstMetric(m.quota, prometheus.GaugeValue, float64(usage.QuotaBytes))
	if usage.Embedded {
		ch <- prometheus.MustNewConstMetric(m.disk, prometheus.GaugeValue, float64(usage.DiskFree))
	}
}

func emit[K ~string](ch chan<- prometheus.Metric, d *prometheus.Desc, counts map[K]int) {
	for k, n := range counts {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), string(k))
	}
}
