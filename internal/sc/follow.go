// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"time"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
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

// reconnectPause is the pause before the next CLC is tried.
const reconnectPause = time.Second

// follower keeps a stream of wishes open to one of the CLCs.
type follower struct {
	options  Options
	states   chan wishes // holds the latest that was not taken yet
	reporter *reporter
}

func (f *follower) run(ctx context.Context) error {
	before := ""
	for i := 0; ; i++ {
		addr := f.options.CLC[i%len(f.options.CLC)]
		err := f.follow(ctx, addr)
		f.reporter.disconnect()
		if ctx.Err() != nil {
			return nil
		}
		// It is tried every second; a line for each would bury the others.
		if now := addr + err.Error(); now != before {
			f.options.Log.WarnContext(ctx, "no connection to the cloud controller: starting nothing until there is one", "clc", addr, "error", err)
			before = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectPause):
		}
	}
}

// follow passes on every state that the CLC at addr sends until the stream breaks.
func (f *follower) follow(ctx context.Context, addr string) error {
	conn, err := f.options.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := cloudv1.NewCloudClient(conn)
	stream, err := client.WatchPartition(ctx, &cloudv1.WatchPartitionRequest{Partition: f.options.Partition})
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		s, err := stream.Recv()
		if err != nil {
			return err
		}
		if first {
			f.options.Log.InfoContext(ctx, "connected to the cloud controller", "clc", addr)
			f.reporter.connect(client)
		}
		select {
		case <-f.states: // overtaken
		default:
		}
		f.states <- wishes{s, ctx.Done()}
	}
}
