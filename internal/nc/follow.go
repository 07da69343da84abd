// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/agent"
	"github.com/mallee-io/mallee/internal/site"
)

// follower hands what the cloud wants to those who do it.
type follower struct {
	options   Options
	initiator string
	keepers   *keepers
	site      *site.Site
	reporter  *reporter

	client   cloudv1.CloudClient // of the stream that states come over
	noPath   time.Duration       // what multipathd was last told
	instance string              // what the cloud last called this node
}

func newFollower(o Options, initiator string, k *keepers, s *site.Site, r *reporter) *follower {
	return &follower{options: o, initiator: initiator, keepers: k, site: s, reporter: r}
}

// run keeps in touch with the cloud controller until ctx ends.
func (f *follower) run(ctx context.Context) error {
	defer f.site.Wait()
	return agent.New(agent.Options[cloudv1.NodeState]{
		CLC: f.options.CLC, Dial: f.options.Dial, Log: f.options.Log, Meanwhile: "attached volumes go on",
		Watch: f.watch, Take: f.take,
		Changed: f.reporter.dirty, Report: f.reporter.tell,
	}).Run(ctx)
}

func (f *follower) watch(ctx context.Context, c cloudv1.CloudClient) (grpc.ServerStreamingClient[cloudv1.NodeState], error) {
	f.client = c
	return c.WatchNode(ctx, &cloudv1.WatchNodeRequest{
		Partition: f.options.Partition, Initiator: f.initiator,
		// Who was just started must not think that this node waits for its turn.
		Ncpaths: f.reporter.list(),
	})
}

func (f *follower) take(ctx context.Context, state *cloudv1.NodeState) {
	if f.instance != state.GetInstanceId() {
		f.instance = state.GetInstanceId()
		f.options.Log.InfoContext(ctx, "the cloud knows this node", "instance_id", f.instance)
	}
	f.setNoPathTimeout(ctx, time.Duration(state.GetNopathTimeoutSeconds())*time.Second)
	f.keepers.set(state)
	portals := advertised(state)
	f.site.Set(state.GetNcpaths(), portals)
	f.site.Check(ctx, f.client, state.GetChecks(), portals)
}

// advertised returns what "nopath" means on this node: what the SAN advertises or,
// while the cloud does not know that, what exports tell.
func advertised(state *cloudv1.NodeState) []string {
	if portals := state.GetPortals(); len(portals) > 0 {
		return portals
	}
	var portals []string
	for _, d := range state.GetAttachments() {
		portals = append(portals, d.GetExport().GetPortals()...)
	}
	slices.Sort(portals)
	return slices.Compact(portals)
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
