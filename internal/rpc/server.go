// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"log/slog"
	"regexp"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// requestIDKey is the metadata key in which the id of an API call travels.
const requestIDKey = "x-request-id"

// A silent peer is found within keepaliveTime + keepaliveTimeout: a stream is
// the sign of life of an agent, and TCP alone would hold it for minutes.
// gRPC refuses client pings more often than every 10 s.
const (
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 5 * time.Second
)

// handshakeTimeout is for how long a connection is kept that has not shown a
// certificate. gRPC's two minutes let anybody take all descriptors there are, and
// so stop whatever else the process does.
const handshakeTimeout = 10 * time.Second

// requestIDForm keeps what a peer sends out of our logs if it is no id.
var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// Admit decides whether a caller may make its call; the error is the answer if
// not. First is true until a call of the connection has been admitted: a
// certificate that was renewed since is no reason to cut a connection off.
type Admit func(ctx context.Context, caller Identity, first bool) error

// Only admits parts of the allowed roles.
func Only(allowed ...Role) Admit {
	return func(_ context.Context, caller Identity, _ bool) error {
		if !slices.Contains(allowed, caller.Role) {
			return denied(caller.Name, "%s is of a role that may not call this", caller)
		}
		return nil
	}
}

// NewServer returns a server that answers the callers that admit lets in. A
// handler's context carries the request id that the caller sent, and Peer tells
// who that is. A *mallee.Error that a handler returns reaches the caller as
// such. A panic in a handler is logged with its stack and answered with
// Internal. Stop returns when the last handler has.
func NewServer(b *Bundle, log *slog.Logger, admit Admit) *grpc.Server {
	g := guard{log: log, mayCall: admit}
	return grpc.NewServer(
		grpc.Creds(newFresh(b.serverTLS)),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.UnaryInterceptor(g.unary),
		grpc.StreamInterceptor(g.stream),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		// Stop ends the handlers' contexts. What they stand on, a store for
		// example, must not be closed before they have returned.
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveTime / 2, PermitWithoutStream: true}),
	)
}

// guard stands before every handler.
type guard struct {
	log     *slog.Logger
	mayCall Admit
}

func (g guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer g.recover(ctx, info.FullMethod, &err)
	if err := g.admit(ctx); err != nil {
		return nil, err
	}
	resp, err = handler(withRequestID(ctx), req)
	return resp, toStatus(err)
}

func (g guard) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer g.recover(ss.Context(), info.FullMethod, &err)
	if err := g.admit(ss.Context()); err != nil {
		return err
	}
	return toStatus(handler(srv, contextStream{ss, withRequestID(ss.Context())}))
}

func (g guard) admit(ctx context.Context) error {
	s, err := sessionOf(ctx)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	caller, err := Peer(ctx)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	if err := g.mayCall(ctx, caller, !s.admitted.Load()); err != nil {
		return toStatus(err)
	}
	s.admitted.Store(true)
	return nil
}

func (g guard) recover(ctx context.Context, method string, err *error) {
	if p := recover(); p != nil {
		g.log.ErrorContext(withRequestID(ctx), "a handler panicked", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "internal error")
	}
}

func withRequestID(ctx context.Context) context.Context {
	if ids := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(ids) == 1 && requestIDForm.MatchString(ids[0]) {
		return telemetry.WithRequestID(ctx, mallee.RequestID(ids[0]))
	}
	return ctx
}

// contextStream is a ServerStream with another context.
type contextStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s contextStream) Context() context.Context { return s.ctx }
