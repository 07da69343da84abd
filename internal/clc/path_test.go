// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// Who lists paths while a volume is attached has read the records before it was,
// and must not make the node's report forgotten until its next.
func TestPathsAreOfTheAttachmentThatIsAskedFor(t *testing.T) {
	const id = "vol-00000001"
	before, after := map[string]attachmentRecord{id: {Generation: 1}}, map[string]attachmentRecord{id: {Generation: 2}}
	table := newPathTable()
	table.put(id, pathReport{generation: 2, paths: []mallee.Path{{VolumeID: id, State: mallee.PathUp}}})
	for _, step := range []struct {
		name string
		have map[string]attachmentRecord
		want int
	}{
		{"not yet attached", nil, 0},
		{"attached as it was before", before, 0},
		{"attached", after, 1},
	} {
		if got := table.of(step.have); len(got) != step.want {
			t.Errorf("%s: %d paths, want %d", step.name, len(got), step.want)
		}
	}
	table.keep(nil)
	if got := table.of(after); len(got) != 0 {
		t.Errorf("the records are without it, and its paths are kept: %v", got)
	}
}

func TestMetricsOfAPoolThatIsNotKnown(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newMetrics(c.Controller))
	pools := func() (n int) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "mallee_clc_pool_") {
				n++
			}
		}
		return n
	}
	for {
		v, renewed := c.feed.current()
		if _, ok := v.partitions[partition]; ok {
			break
		}
		select {
		case <-renewed:
		case <-time.After(patience):
			t.Fatal("the partition is not known")
		}
	}
	if n := pools(); n != 0 {
		t.Errorf("%d metrics of a pool that nobody has told of: an alert takes it for a full one", n)
	}
	s.report(&cloudv1.PartitionReport{Pool: &cloudv1.Pool{SizeBytes: 1}})
	if n := pools(); n == 0 {
		t.Error("no metrics of a pool that was told of")
	}
}
