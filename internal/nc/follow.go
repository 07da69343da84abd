// SPDX-License-Identifier: Apache-2.0

package nc

import (
	"context"
	"time"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// follower keeps a stream of wishes open to one of the cloud controllers.
type follower struct {
	options   Options
	initiator string
	keepers   *keepers
	reporter  *reporter
	noPath    time.Duration // what multipathd was last told
}

// reconnectPause is the pause before the next cloud controller is tried.
const reconnectPause = time.Second

func (f *follower) run(ctx context.Context) error {
	for i := 0; ; i++ {
		addr := f.options.CLC[i%len(f.options.CLC)]
		err := f.follow(ctx, addr)
		f.reporter.disconnect()
		if ctx.Err() != nil {
			return nil
		}
		f.options.Log.WarnContext(ctx, "no connection to the cloud controller: attached volumes go on", "clc", addr, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectPause):
		}
	}
}

// follow hands every state that the cloud controller at addr sends to the
// keepers, until the stream breaks.
func (f *follower) follow(ctx context.Context, addr string) error {
	conn, err := f.options.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := cloudv1.NewCloudClient(conn)
	stream, err := client.WatchNode(ctx, &cloudv1.WatchNodeRequest{Partition: f.options.Partition, Initiator: f.initiator})
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		state, err := stream.Recv()
		if err != nil {
			return err
		}
		if first {
			f.options.Log.InfoContext(ctx, "connected to the cloud controller", "clc", addr, "instance_id", state.GetInstanceId())
		}
		f.setNoPathTimeout(ctx, time.Duration(state.GetNopathTimeoutSeconds())*time.Second)
		f.keepers.set(state)
		f.reporter.connect(client)
	}
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
