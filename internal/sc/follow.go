// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"

	"google.golang.org/grpc"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/agent"
)

// state is what the CLC wants, whole.
type state = *cloudv1.PartitionState

// wishes are a state for as long as the stream lasts that it came over. After
// that another storage controller may be at work, and an old state is no reason
// to do anything.
type wishes struct {
	state
	lost <-chan struct{} // closed when the stream has ended
}

// good tells whether there is a state and its stream still lasts.
func (w wishes) good() bool {
	select {
	case <-w.lost:
		return false
	default:
		return w.state != nil
	}
}

// newAgent returns what keeps in touch with the CLC: it puts the latest wishes
// into states, which holds one, and takes reports from rep. V answers path checks.
func newAgent(o Options, states chan wishes, rep *reporter, v *view) *agent.Agent[cloudv1.PartitionState] {
	var client cloudv1.CloudClient // of the stream that states come over
	return agent.New(agent.Options[cloudv1.PartitionState]{
		CLC: o.CLC, Dial: o.Dial, Log: o.Log, Meanwhile: "nothing is started on the SAN",
		Watch: func(ctx context.Context, c cloudv1.CloudClient) (grpc.ServerStreamingClient[cloudv1.PartitionState], error) {
			client = c
			return c.WatchPartition(ctx, &cloudv1.WatchPartitionRequest{Partition: o.Partition})
		},
		Take: func(ctx context.Context, s state) {
			select {
			case <-states: // overtaken
			default:
			}
			states <- wishes{s, ctx.Done()}
			v.check(ctx, client, s.GetChecks())
		},
		Changed: rep.changed, Report: rep.send,
	})
}
