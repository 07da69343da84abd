// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
)

// log writes the line about a call. The error of a call that the caller is at
// fault for is in its code; any other is told in full, here and nowhere else. Who
// has proved nothing, or calls too often, does not get a line for each call.
func (h *Handler) log(ctx context.Context, c call, a answer, more ...slog.Attr) {
	err := a.err
	attrs := append([]slog.Attr{
		slog.String("api", h.options.API), slog.String("action", c.action.Name), slog.String("access_key", c.accessKey),
		slog.String("code", a.code), slog.Int("status", a.status),
	}, more...)
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
	log := h.options.Log
	if c.accessKey == "" { // as it is, too, of a key that was refused
		log = h.strangers
	}
	log.LogAttrs(ctx, level, "api call", attrs...)
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
