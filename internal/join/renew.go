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

// lookPause is how often the clock is looked at. A timer goes by a clock of its
// own: it does not know that the machine was suspended, nor that the time was
// wrong at boot, and would let the certificate end.
const lookPause = time.Minute

// Wait waits until a bundle is due to be renewed, by the clock of the day, and for
// pause at least. It tells whether ctx still lasts.
func Wait(ctx context.Context, b *rpc.Bundle, pause time.Duration) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(max(pause, min(lookPause, time.Until(b.RenewAt())))):
		}
		if !time.Now().Before(b.RenewAt()) {
			return true
		}
	}
}

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
	failures, pause := 0, firstPause
	for Wait(ctx, r.Bundle, pause) {
		addr := r.CLC[failures%len(r.CLC)]
		err := r.renew(ctx, addr)
		if err == nil {
			failures, pause = 0, firstPause
			r.Log.InfoContext(ctx, "certificate renewed", "ends", r.Bundle.Ends(), "serial", r.Bundle.Identity().Serial)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		pause = lastPause
		if failures < 9 {
			pause = min(lastPause, firstPause<<failures)
		}
		failures++
		attrs := []any{"clc", addr, "error", err, "ends", r.Bundle.Ends(), "pause", pause}
		if e, ok := errors.AsType[*mallee.Error](err); ok && e.Hint != "" {
			attrs = append(attrs, "hint", e.Hint)
		} else if time.Now().After(r.Bundle.Ends()) {
			attrs = append(attrs, "hint", "the certificate has ended: join again with a new token (mallee token create)")
		}
		r.Log.WarnContext(ctx, "cannot renew the certificate", attrs...)
	}
	return nil
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
