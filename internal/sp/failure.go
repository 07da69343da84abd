// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/lvm"
)

// failure logs why a call failed and returns the status for its caller.
func (s *Server) failure(ctx context.Context, id mallee.VolumeID, err error) error {
	log := s.log
	if id != "" {
		log = log.With("volume_id", id)
	}
	s.logFailure(ctx, log, "call failed", err)
	// The caller is told of its context's end, whatever broke because of it.
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	switch {
	case errors.Is(err, lvm.ErrNoRoom):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, lvm.ErrInUse):
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

// logFailure logs an error with the raw words of the tool that failed, which no
// caller is shown.
func (s *Server) logFailure(ctx context.Context, log *slog.Logger, msg string, err error) {
	if failed, ok := errors.AsType[*command.Error](err); ok {
		log = log.With("stderr", failed.Stderr)
	}
	log.ErrorContext(ctx, msg, "error", err)
}

func invalidID(id mallee.VolumeID) error {
	return status.Errorf(codes.InvalidArgument, "%q is no volume id", id)
}
