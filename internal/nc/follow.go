// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"context"
	"time"

	"google.golang.org/grpc"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/agent"
)

// follower hands what the cloud wants to the keepers.
type follower struct {
	options  Options
	keepers  *keepers
	noPath   time.Duration // what multipathd was last told
	instance string        // what the cloud last called this node
}

// newAgent returns what keeps in touch with the cloud controller.
func newAgent(o Options, initiator string, k *keepers, r *reporter) *agent.Agent[cloudv1.NodeState] {
	f := &follower{options: o, keepers: k}
	return agent.New(agent.Options[cloudv1.NodeState]{
		CLC: o.CLC, Dial: o.Dial, Log: o.Log, Meanwhile: "attached volumes go on",
		Watch: func(ctx context.Context, c cloudv1.CloudClient) (grpc.ServerStreamingClient[cloudv1.NodeState], error) {
			return c.WatchNode(ctx, &cloudv1.WatchNodeRequest{Partition: o.Partition, Initiator: initiator})
		},
		Take:    f.take,
		Changed: r.dirty, Report: r.tell,
	})
}

func (f *follower) take(ctx context.Context, state *cloudv1.NodeState) {
	if f.instance != state.GetInstanceId() {
		f.instance = state.GetInstanceId()
		f.options.Log.InfoContext(ctx, "the cloud knows this node", "instance_id", f.instance)
	}
	f.setNoPathTimeout(ctx, time.Duration(state.GetNopathTimeoutSeconds())*time.Second)
	f.keepers.set(state)
}

func (f *follower) setNoPathTimeout(ctx context.Context, d time.Duration) {
	if d == 0 || d == f.noPath {
		return
	}
	if err := f.options.Host.SetNoPathTimeout(ctx, d); err != nil {
		f.options.Log.ErrorContext(ctx, "cannot set how long I/O waits without a path", "nopath_timeout", d, "error", err)
		return
	}
	f.noPath = d
}
