// SPDX-License-Identifier: Apache-2.0

// Package telemetry is how a part tells what it does: log lines that carry the
// request they belong to, and metrics.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// LogOptions says how a daemon logs.
type LogOptions struct {
	Role   string     // "clc", "sc", "nc" or "sp": stands in each line as role
	Format string     // "json" (the default) or "text"
	Level  slog.Level // the zero value is info
}

// NewLogger returns a logger that writes to w and adds to each line what With
// and WithRequestID have put into the context. It is safe for concurrent use.
func NewLogger(w io.Writer, o LogOptions) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: o.Level}
	var h slog.Handler
	switch o.Format {
	case "", "json":
		h = slog.NewJSONHandler(w, options)
	case "text":
		h = slog.NewTextHandler(w, options)
	default:
		return nil, fmt.Errorf("log format %q is unknown: write json or text", o.Format)
	}
	return slog.New(contextHandler{h}).With("role", o.Role), nil
}

// ParseLevel returns the level named debug, info, warn or error.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q is unknown: write debug, info, warn or error", s)
}

// contextHandler adds the attributes of the context to each record.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		r.AddAttrs(attrs...)
	}
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", string(id)))
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
