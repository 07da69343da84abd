// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Lines that a sparse logger writes: so many at once, and so many a second.
const (
	SparseBurst = 100
	sparseRate  = 1
)

// Sparse returns a logger for lines that anybody can cause, as often as they
// please: it writes SparseBurst of them at once and one a second thereafter. A
// line tells, as lines_left_out, how many were not written before it.
func Sparse(log *slog.Logger) *slog.Logger {
	return slog.New(sparseHandler{log.Handler(), rate.NewLimiter(sparseRate, SparseBurst), new(atomic.Int64)})
}

type sparseHandler struct {
	slog.Handler
	limiter *rate.Limiter
	leftOut *atomic.Int64
}

func (h sparseHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.limiter.Allow() {
		h.leftOut.Add(1)
		return nil
	}
	if n := h.leftOut.Swap(0); n > 0 {
		r.AddAttrs(slog.Int64("lines_left_out", n))
	}
	return h.Handler.Handle(ctx, r)
}

func (h sparseHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

func (h sparseHandler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}
