// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/telemetry"
)

const (
	// operationTimeout bounds one operation over all addresses of the SAN.
	operationTimeout = 3 * time.Minute
	firstRetry       = time.Second
	lastRetry        = 30 * time.Second
)

// work is an operation to be started.
type work struct {
	key      key
	op       string // "create", "grow", "delete", "export", "unexport"
	size     uint64 // to which a volume shall grow
	removes  bool   // what key names is gone when it succeeds
	request  string // id of the API call that it is done for
	instance string // of the node, for an export
	do       func(context.Context, SAN) error
	final    func(error) bool // whether trying again cannot help; nil for never
}

// outcome is how an operation ended.
type outcome struct {
	work work
	san  SAN
	lost <-chan struct{} // of the wishes that it was started for
	err  error
}

// errLost ends an operation that had not begun when its wishes were lost.
var errLost = errors.New("the connection to the cloud controller is lost")

// trouble is why an operation failed last.
type trouble struct {
	op      string
	size    uint64 // of work
	message string
	tries   int
	next    time.Time
	final   bool
}

// start begins an operation, unless it failed a short while ago or nobody wishes
// for it any more, and reports whether it has.
func (r *reconciler) start(ctx context.Context, w work) bool {
	if !r.want.good() {
		return false // the stream has ended while the SAN was looked at
	}
	if t, failed := r.trouble[w.key]; failed && t.op == w.op && t.size == w.size && time.Now().Before(t.next) {
		return false
	}
	ctx = telemetry.WithRequestID(ctx, mallee.RequestID(w.request))
	ctx = telemetry.With(ctx, slog.String("volume_id", w.key.volume), slog.String("operation", w.op))
	if w.instance != "" {
		ctx = telemetry.With(ctx, slog.String("instance_id", w.instance))
	}
	r.busy[w.key] = true
	s, lost := r.san, r.want.lost
	r.running.Go(func() {
		o := outcome{work: w, san: s, lost: lost, err: r.perform(ctx, w, s, lost)}
		select {
		case r.done <- o:
		case <-ctx.Done():
		}
	})
	return true
}

func (r *reconciler) perform(ctx context.Context, w work, s SAN, lost <-chan struct{}) error {
	select {
	case r.slots <- struct{}{}:
	case <-lost:
		return errLost
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.slots }()
	select { // both may have been ready
	case <-lost:
		return errLost
	default:
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	err := w.do(limited, s)
	r.metrics.operation(w.op, time.Since(began), err)
	if err != nil {
		r.options.Log.WarnContext(ctx, "operation on the SAN failed", "error", err)
		return err
	}
	r.options.Log.InfoContext(ctx, "operation on the SAN done", "seconds", time.Since(began).Seconds())
	return nil
}

// finish notes how an operation ended.
func (r *reconciler) finish(o outcome) {
	k := o.work.key
	delete(r.busy, k)
	if o.err == nil {
		delete(r.trouble, k)
		if o.work.removes && o.san == r.san && o.lost == r.want.lost {
			r.removed[k] = true
		}
		return
	}
	if o.work.op == "export" {
		delete(r.told, mallee.IQN(k.initiator))
	}
	if errors.Is(o.err, errLost) {
		return
	}
	t := r.trouble[k]
	if t.op != o.work.op || t.size != o.work.size {
		t = trouble{op: o.work.op, size: o.work.size}
	}
	t.message = o.err.Error()
	t.final = o.work.final != nil && o.work.final(o.err)
	t.next = time.Now().Add(min(firstRetry<<min(t.tries, 10), lastRetry))
	t.tries++
	r.trouble[k] = t
}
