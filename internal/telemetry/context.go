// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"log/slog"

	"github.com/mallee-io/mallee"
)

type (
	attrsKey   struct{}
	requestKey struct{}
	accessKey  struct{}
)

// With returns a context whose log lines carry attrs too.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	have, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	all := append(have[:len(have):len(have)], attrs...)
	return context.WithValue(ctx, attrsKey{}, all)
}

// WithRequestID returns a context whose log lines and RPCs carry id.
func WithRequestID(ctx context.Context, id mallee.RequestID) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) mallee.RequestID {
	id, _ := ctx.Value(requestKey{}).(mallee.RequestID)
	return id
}

// WithAccessKey returns a context that tells who calls: the holder of that key,
// whose signature was verified.
func WithAccessKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, accessKey{}, key)
}

// AccessKey returns the key of who calls, or "".
func AccessKey(ctx context.Context) string {
	key, _ := ctx.Value(accessKey{}).(string)
	return key
}
