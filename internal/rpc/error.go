// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
)

// codeOf tells with which code a kind travels. More than one kind has the same
// code; the detail tells them apart.
var codeOf = map[mallee.Kind]codes.Code{
	mallee.Invalid:          codes.InvalidArgument,
	mallee.Malformed:        codes.InvalidArgument,
	mallee.NotFound:         codes.NotFound,
	mallee.InUse:            codes.FailedPrecondition,
	mallee.NotAttached:      codes.FailedPrecondition,
	mallee.IncorrectState:   codes.FailedPrecondition,
	mallee.Modifying:        codes.FailedPrecondition,
	mallee.PathsUnreachable: codes.FailedPrecondition,
	mallee.Changed:          codes.Aborted,
	mallee.TooMany:          codes.ResourceExhausted,
	mallee.OverLimit:        codes.ResourceExhausted,
	mallee.ZoneMismatch:     codes.InvalidArgument,
	mallee.Exhausted:        codes.ResourceExhausted,
	mallee.ReadOnly:         codes.FailedPrecondition,
	mallee.Mismatch:         codes.AlreadyExists,
	mallee.Denied:           codes.PermissionDenied,
	mallee.Unavailable:      codes.Unavailable,
	mallee.Internal:         codes.Internal,
}

// kindOf tells what a code means that came without our detail: from gRPC itself
// or from a part that is not ours.
func kindOf(c codes.Code) mallee.Kind {
	switch c {
	case codes.InvalidArgument, codes.OutOfRange:
		return mallee.Invalid
	case codes.NotFound:
		return mallee.NotFound
	case codes.FailedPrecondition, codes.Aborted:
		return mallee.IncorrectState
	case codes.ResourceExhausted:
		return mallee.Exhausted
	case codes.AlreadyExists:
		return mallee.Mismatch
	case codes.PermissionDenied, codes.Unauthenticated:
		return mallee.Denied
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return mallee.Unavailable
	}
	return mallee.Internal
}

// toStatus turns what a handler returned into a status. The kind, id, operation
// and hint of a mallee.Error travel as a detail. Of any other error only the
// text does.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*mallee.Error](err)
	if !ok {
		if _, ok := status.FromError(err); ok {
			return err
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return status.FromContextError(err).Err()
		}
		return status.Error(codes.Internal, err.Error())
	}
	code, ok := codeOf[e.Kind]
	if !ok {
		code = codes.Internal
	}
	s := status.New(code, e.Err.Error())
	detailed, detailErr := s.WithDetails(&errdetails.ErrorInfo{
		Reason:   string(e.Kind),
		Domain:   Domain,
		Metadata: map[string]string{"op": e.Op, "id": e.ID, "hint": e.Hint},
	})
	if detailErr != nil {
		return s.Err()
	}
	return detailed.Err()
}

// fromStatus is the inverse of toStatus. An error that came without our detail
// becomes a mallee.Error whose operation is op.
func fromStatus(op string, err error) error {
	s, ok := status.FromError(err)
	if !ok || err == nil {
		return err
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == Domain {
			return &mallee.Error{
				Op: info.Metadata["op"], Kind: mallee.Kind(info.Reason), ID: info.Metadata["id"],
				Hint: info.Metadata["hint"], Err: remoteError{s},
			}
		}
	}
	return &mallee.Error{Op: op, Kind: kindOf(s.Code()), Err: remoteError{s}}
}

// remoteError reads as the message alone, without gRPC's "rpc error: code = …",
// and still answers status.Code.
type remoteError struct{ s *status.Status }

func (e remoteError) Error() string              { return e.s.Message() }
func (e remoteError) GRPCStatus() *status.Status { return e.s }
