// SPDX-License-Identifier: Apache-2.0

// Package agent is how a part of the cloud keeps in touch with the cloud
// controller (CLC).
//
// An agent is a storage or a node controller. A state is what the CLC wants of
// it, whole; states come over a stream, which is also the agent's sign of life.
// A report is what the agent finds, whole, and goes to the CLC that the stream
// comes from. There may be several CLCs; one at a time is followed, and the next
// one tried when that fails.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// reconnectPause is the pause before the next CLC is tried.
const reconnectPause = time.Second

// Options of an agent whose state is a message of type S. All are required.
type Options[S any] struct {
	CLC  []string // "host:port" of each cloud controller
	Dial func(addr string) (*grpc.ClientConn, error)
	// Watch opens the stream of states.
	Watch func(context.Context, cloudv1.CloudClient) (grpc.ServerStreamingClient[S], error)
	// Take is called with each state, one after the other. Its context ends with
	// the stream that the state came over.
	Take func(context.Context, *S)
	// Changed delivers a value when there is something new to report.
	Changed <-chan struct{}
	// Report tells a CLC what the agent finds. It is called when something has
	// changed, after each connect, every ReportInterval, and again after it has
	// failed; never twice at once.
	Report func(context.Context, cloudv1.CloudClient) error
	// Meanwhile says, for the log, what the agent does without a connection.
	Meanwhile string
	Log       *slog.Logger
}

// Agent follows one CLC at a time.
type Agent[S any] struct {
	options Options[S]
	due     chan struct{} // holds one token while a report is due, whatever has changed

	mu     sync.Mutex
	client cloudv1.CloudClient // nil while there is no stream
}

// New returns an agent that does nothing until Run.
func New[S any](o Options[S]) *Agent[S] {
	return &Agent[S]{options: o, due: make(chan struct{}, 1)}
}

// Run follows the CLCs and reports until ctx ends, and then returns nil.
func (a *Agent[S]) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { a.reportAll(ctx) })
	a.followAll(ctx)
	return nil
}

func (a *Agent[S]) followAll(ctx context.Context) {
	told := map[string]string{} // what was logged of each CLC since the last connect
	for i := 0; ; i++ {
		addr := a.options.CLC[i%len(a.options.CLC)]
		err := a.follow(ctx, addr, func() { clear(told) })
		a.setClient(nil)
		if ctx.Err() != nil {
			return
		}
		// It is tried every second; a line for each try would bury the others.
		if told[addr] != err.Error() {
			told[addr] = err.Error()
			attrs := []slog.Attr{slog.String("clc", addr), slog.Any("error", err), slog.String("meanwhile", a.options.Meanwhile)}
			if e, ok := errors.AsType[*mallee.Error](err); ok && e.Hint != "" {
				attrs = append(attrs, slog.String("hint", e.Hint))
			}
			a.options.Log.LogAttrs(ctx, slog.LevelWarn, "no connection to the cloud controller", attrs...)
		}
		if !pause(ctx, reconnectPause) {
			return
		}
	}
}

// follow hands on every state that the CLC at addr sends, until the stream breaks.
func (a *Agent[S]) follow(ctx context.Context, addr string, connected func()) error {
	conn, err := a.options.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := cloudv1.NewCloudClient(conn)
	stream, err := a.options.Watch(ctx, client)
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		state, err := stream.Recv()
		if err != nil {
			return err
		}
		a.options.Take(ctx, state)
		if first {
			connected()
			a.options.Log.InfoContext(ctx, "connected to the cloud controller", "clc", addr)
			a.setClient(client)
			a.reportIsDue() // whoever answers now may know nothing
		}
	}
}

func (a *Agent[S]) setClient(c cloudv1.CloudClient) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client = c
}

// pause waits and tells whether ctx still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
