// SPDX-License-Identifier: Apache-2.0

package join

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
)

// Pauses after a renewal that failed. They double from the first to the last.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Minute
)

// renewTimeout bounds one call.
const renewTimeout = 15 * time.Second

// Renewal keeps the certificate of a part from ending. All fields are required.
type Renewal struct {
	Bundle *rpc.Bundle
	Dir    string   // where the bundle is kept
	CLC    []string // "host:port" of each cloud controller's agents' port
	Dial   func(addr string) (*grpc.ClientConn, error)
	Log    *slog.Logger
}

// Run renews until ctx ends, and then returns nil. It tries each cloud
// controller in turn, and for as long as it takes.
func (r Renewal) Run(ctx context.Context) error {
	failures := 0
	due := r.Bundle.RenewAt()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(time.Until(due), firstPause)):
		}
		addr := r.CLC[failures%len(r.CLC)]
		err := r.renew(ctx, addr)
		if err == nil {
			failures, due = 0, r.Bundle.RenewAt()
			r.Log.InfoContext(ctx, "certificate renewed", "ends", r.Bundle.Ends(), "serial", r.Bundle.Identity().Serial)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		pause := lastPause
		if failures < 9 {
			pause = min(lastPause, firstPause<<failures)
		}
		failures++
		due = time.Now().Add(pause)
		attrs := []any{"clc", addr, "error", err, "ends", r.Bundle.Ends(), "pause", pause}
		if e, ok := errors.AsType[*mallee.Error](err); ok && e.Hint != "" {
			attrs = append(attrs, "hint", e.Hint)
		} else if time.Now().After(r.Bundle.Ends()) {
			attrs = append(attrs, "hint", "the certificate has ended: join again with a new token (mallee token create)")
		}
		r.Log.WarnContext(ctx, "cannot renew the certificate", attrs...)
	}
}

// renew has a new key certified. On a connection of its own: of one that is up,
// the cloud controller knows the certificate that it was made with.
func (r Renewal) renew(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	key, err := newKey()
	if err != nil {
		return err
	}
	csr, err := request(key)
	if err != nil {
		return err
	}
	conn, err := r.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := cloudv1.NewCloudClient(conn).Renew(ctx, &cloudv1.RenewRequest{Csr: csr})
	if err != nil {
		return err
	}
	next, err := newBundle(key, answer.GetCertificate(), answer.GetCa())
	if err != nil {
		return err
	}
	// First to the disk: once the new certificate has been used, the one before is
	// no longer accepted, and a part that then came back with it would be locked out.
	if err := next.Write(r.Dir); err != nil {
		return err
	}
	r.Bundle.Take(next)
	return nil
}
