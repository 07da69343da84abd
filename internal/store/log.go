// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// expected are warnings that do not hold for a store that nobody but this
// process reaches.
var expected = []string{
	"Running http and grpc server on single port. This is not recommended for production.",
	"simple token is not cryptographically signed",
}

// quietCore hands what etcd logs to slog. etcd tells as information what only
// helps to debug etcd, so that goes one level down; and it reports its own
// orderly end as errors, so that all of that is debug.
type quietCore struct {
	log     *slog.Logger
	fields  []zapcore.Field
	closing *atomic.Bool
}

func newQuietCore(log *slog.Logger) *quietCore {
	return &quietCore{log: log.With("component", "etcd"), closing: &atomic.Bool{}}
}

func (c *quietCore) logger() *zap.Logger { return zap.New(c) }

func (c *quietCore) silence() { c.closing.Store(true) }

func (c *quietCore) level(e zapcore.Entry) slog.Level {
	switch {
	case e.Level < zapcore.WarnLevel || c.closing.Load() || slices.Contains(expected, e.Message):
		return slog.LevelDebug
	case e.Level == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Enabled implements zapcore.LevelEnabler.
func (c *quietCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), c.level(zapcore.Entry{Level: l}))
}

// With implements zapcore.Core.
func (c *quietCore) With(fields []zapcore.Field) zapcore.Core {
	all := append(c.fields[:len(c.fields):len(c.fields)], fields...)
	return &quietCore{log: c.log, fields: all, closing: c.closing}
}

// Check implements zapcore.Core.
func (c *quietCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *quietCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	encoded := zapcore.NewMapObjectEncoder()
	for _, list := range [][]zapcore.Field{c.fields, fields} {
		for _, f := range list {
			f.AddTo(encoded)
		}
	}
	args := make([]any, 0, len(encoded.Fields))
	for k, v := range encoded.Fields {
		args = append(args, slog.Any(k, v))
	}
	c.log.Log(context.Background(), c.level(e), e.Message, args...)
	return nil
}

// Sync implements zapcore.Core.
func (c *quietCore) Sync() error { return nil }
