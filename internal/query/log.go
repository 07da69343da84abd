// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
)

// Lines about calls that were refused at the door: so many at once, and so many a
// second. All of them are counted in the metrics.
const (
	refusalBurst = 100
	refusalRate  = 1
)

// refusals keeps callers who have proved nothing, or who call too often, from
// filling the log.
type refusals struct {
	limiter *rate.Limiter
	unsaid  atomic.Int64 // lines left out since the latest one
}

func newRefusals() *refusals {
	return &refusals{limiter: rate.NewLimiter(refusalRate, refusalBurst)}
}

// log writes the line about a call. The error of a call that the caller is at
// fault for is in its code; any other is told in full, here and nowhere else.
func (h *Handler) log(ctx context.Context, c call, a answer, more ...slog.Attr) {
	err := a.err
	_, refused := errors.AsType[*auth.Error](err)
	if refused = refused || c.accessKey == ""; refused && !h.refusals.limiter.Allow() {
		h.refusals.unsaid.Add(1)
		return
	}
	attrs := append([]slog.Attr{
		slog.String("api", h.options.API), slog.String("action", c.action.Name), slog.String("access_key", c.accessKey),
		slog.String("code", a.code), slog.Int("status", a.status),
	}, more...)
	if n := h.refusals.unsaid.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("refusals_not_logged", n))
	}
	if c.replayOf != "" {
		attrs = append(attrs, slog.String("replay_of", string(c.replayOf)))
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		attrs = append(attrs, slog.String("claimed_access_key", e.AccessKey))
	}
	level := level(err)
	if level > slog.LevelInfo {
		attrs = append(attrs, slog.Any("error", err))
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	h.options.Log.LogAttrs(ctx, level, "api call", attrs...)
}

// level tells how bad an error is for whoever runs the cloud. The HTTP status
// tells that to callers: EC2 has a 500 for a pool that is too small, which is
// nothing to be woken for.
func level(err error) slog.Level {
	if err == nil || errors.Is(err, context.Canceled) { // the caller has gone away
		return slog.LevelInfo
	}
	if _, ok := errors.AsType[*Fault](err); ok {
		return slog.LevelInfo
	}
	if _, ok := errors.AsType[*auth.Error](err); ok {
		return slog.LevelInfo
	}
	kind := mallee.KindOf(err)
	switch {
	case kind == mallee.Unavailable, errors.Is(err, context.DeadlineExceeded):
		return slog.LevelWarn
	case kind == mallee.Internal:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// panicError is what an action that panicked is taken to have returned.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the action panicked: %v", e.value) }

// recovered replaces err when the caller of this deferred function panics. The
// server of net/http would close the connection without an answer, which SDKs
// take for the network's fault, and would log where nobody looks.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{p, debug.Stack()}
	}
}
