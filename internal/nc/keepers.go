// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"context"
	"strings"
	"sync"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/connector"
)

// keepers has one keeper for each attachment that the cloud has named.
type keepers struct {
	options  Options
	reporter *reporter
	metrics  *metrics
	states   chan *cloudv1.NodeState // the latest state that run has not yet seen

	byVolume map[string]running // run's own
	ncpaths  string             // run's own: the latest state's
}

type running struct {
	*keeper
	start func()
	stop  func() // returns when its goroutine has ended
}

func newKeepers(o Options, r *reporter, m *metrics) *keepers {
	return &keepers{
		options: o, reporter: r, metrics: m,
		states: make(chan *cloudv1.NodeState, 1), byVolume: map[string]running{},
	}
}

// set hands over a new state. Only the latest counts. It is called by one
// goroutine.
func (ks *keepers) set(state *cloudv1.NodeState) {
	select {
	case <-ks.states:
	default:
	}
	ks.states <- state
}

func (ks *keepers) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case state := <-ks.states:
			ks.apply(ctx, state, &wg)
		}
	}
}

func (ks *keepers) apply(ctx context.Context, state *cloudv1.NodeState, wg *sync.WaitGroup) {
	named := map[string]bool{}
	for _, d := range state.GetAttachments() {
		named[d.GetVolumeId()] = true
	}
	p := terms{
		ncpaths: state.GetNcpaths(), portals: state.GetPortals(), minPaths: int(state.GetMinPaths()),
		// Out of the message at once: that prints its secret like any field.
		chap: connector.CHAP{Username: state.GetChap().GetUsername(), Password: state.GetChap().GetPassword()},
	}
	if ks.ncpaths != p.ncpaths && ks.ncpaths != "" {
		ks.options.Log.InfoContext(ctx, "path list changed", "ncpaths", p.ncpaths, "before", ks.ncpaths)
	}
	ks.ncpaths = p.ncpaths
	ks.reporter.work(p.ncpaths, named) // before anybody finds anything for it
	for _, d := range state.GetAttachments() {
		id := d.GetVolumeId()
		k, ok := ks.byVolume[id]
		if !ok {
			k = ks.newKeeper(ctx)
			ks.byVolume[id] = k
		}
		k.set(wish{d, p})
		if !ok {
			wg.Go(k.start)
		}
	}
	for id, k := range ks.byVolume {
		if named[id] {
			continue
		}
		// A state that says nothing of a volume that is here must destroy
		// nothing: the cloud asks for a removal in words.
		if !k.released() {
			ks.options.Log.WarnContext(ctx, "the cloud no longer names a volume that is attached here: it stays", "volume_id", id)
			continue
		}
		k.stop()
		delete(ks.byVolume, id)
		ks.reporter.forget(id)
		ks.metrics.forget(id)
	}
}

func (ks *keepers) newKeeper(ctx context.Context) running {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	k := &keeper{
		connector: ks.options.Connector, resolver: ks.options.Resolver,
		log: ks.options.Log, reporter: ks.reporter, metrics: ks.metrics,
		changed: make(chan struct{}, 1),
	}
	return running{
		keeper: k,
		start: func() {
			defer close(ended)
			k.run(ctx)
		},
		// Whoever forgets what a keeper has found must be sure that it finds no more.
		stop: func() {
			cancel()
			<-ended
		},
	}
}

func stateName(s cloudv1.AttachmentReport_State) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "STATE_"))
}
