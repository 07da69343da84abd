// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// reportCounter is a cloud controller that counts the reports that it gets.
type reportCounter struct {
	cloudv1.CloudClient
	reports int
}

func (c *reportCounter) ReportPartition(context.Context, *cloudv1.PartitionReport, ...grpc.CallOption) (*cloudv1.ReportResponse, error) {
	c.reports++
	return &cloudv1.ReportResponse{}, nil
}

func TestAReportIsSentOnceAndOnlyWhileItsStreamLasts(t *testing.T) {
	r, c := newReporter("PARTI00"), &reportCounter{}
	about := wishes{&cloudv1.PartitionState{}, make(chan struct{})}
	send := func() {
		t.Helper()
		if err := r.send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	r.set(&cloudv1.PartitionReport{}, about)
	send()
	send()
	if c.reports != 1 {
		t.Errorf("one report was sent %d times", c.reports)
	}
	lost := make(chan struct{})
	about.lost = lost
	r.set(&cloudv1.PartitionReport{}, about)
	close(lost)
	send()
	if c.reports != 1 {
		t.Error("a report was sent although its stream has ended")
	}
}
