// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/mallee-io/mallee/internal/telemetry"
)

// callTimeout bounds a unary call whose context has no deadline.
const callTimeout = 30 * time.Second

// Dial returns a connection to the part of role peer at addr, "host:port" or what
// an option of more makes of it; the certificate is to be one of that role, whatever
// the host's name is. It
// does not wait for the connection: that is made at the first call, and made
// anew for as long as it is not closed. Calls carry the request id of their
// context, get a deadline of 30 s when they have none, and return errors as
// *mallee.Error with the kind that the peer gave. A storage processor must be of
// the caller's own partition: to any other nothing is sent.
func Dial(addr string, b *Bundle, peer Role, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(newFresh(func() *tls.Config { return b.clientTLS(peer) })),
		grpc.WithUnaryInterceptor(callUnary),
		grpc.WithStreamInterceptor(openStream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		// gRPC waits up to two minutes between attempts by default. A part that
		// comes back should be seen in seconds.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// HTTPS_PROXY is for the way out, not for the cloud's own network.
		grpc.WithNoProxy(),
	}
	if peer == SP {
		options = append(options, grpc.WithPerRPCCredentials(samePartition{b}))
	}
	conn, err := grpc.NewClient(addr, append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot dial %s at %s: %w", peer, addr, err)
	}
	return conn, nil
}

func callUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	return fromStatus(callName(method), invoke(sendRequestID(ctx), method, req, reply, cc, opts...))
}

func openStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(sendRequestID(ctx), desc, cc, method, opts...)
	if err != nil {
		return nil, fromStatus(callName(method), err)
	}
	return errorStream{s, callName(method)}, nil
}

// callName turns "/mallee.cloud.v1.Cloud/WatchNode" into "call WatchNode".
func callName(method string) string { return "call " + path.Base(method) }

func sendRequestID(ctx context.Context) context.Context {
	if id := telemetry.RequestID(ctx); id != "" {
		return metadata.AppendToOutgoingContext(ctx, requestIDKey, string(id))
	}
	return ctx
}

// errorStream is a ClientStream that returns our errors.
type errorStream struct {
	grpc.ClientStream
	op string
}

func (s errorStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if errors.Is(err, io.EOF) {
		return err
	}
	return fromStatus(s.op, err)
}
