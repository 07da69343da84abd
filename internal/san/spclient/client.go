// SPDX-License-Identifier: Apache-2.0

// Package spclient is a storage processor as a san.SAN, reached over any of its
// admin addresses.
package spclient

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/san"
)

const (
	// connectTimeout is how long an address may take to answer before the next is
	// tried. One that is cut off does not answer at all, and every call would wait.
	connectTimeout = 2 * time.Second
	// callTimeout bounds a call on one address. lvm takes seconds on a busy
	// machine, and taking an export back waits for the commands in flight.
	callTimeout = 60 * time.Second
)

// Options says where the storage processor is.
type Options struct {
	Addresses []netip.AddrPort // in the admin's order
	// Dial returns a connection to one address without waiting for it; grpc.NewClient does so.
	Dial func(addr string) (*grpc.ClientConn, error)
	Log  *slog.Logger
}

// Client is one storage processor. It is safe for concurrent use.
type Client struct {
	addresses []*address
	log       *slog.Logger

	mu   sync.Mutex
	good int // index of the address that answered last
}

// address is one way to the storage processor. Client.mu guards state.
type address struct {
	conn  *grpc.ClientConn
	state AddressState
}

// AddressState tells how an address was when it was last tried.
type AddressState struct {
	Address string
	// Active is true for the one address that calls go to first.
	Active bool
	// Tried is zero while the address was never needed.
	Tried time.Time
	// Err says why it did not answer, nil if it did.
	Err error
}

var _ san.SAN = (*Client)(nil)

// New returns a client, without connecting yet.
func New(o Options) (*Client, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("a storage processor needs at least one admin address")
	}
	c := &Client{log: o.Log}
	for _, a := range o.Addresses {
		conn, err := o.Dial(a.String())
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.addresses = append(c.addresses, &address{conn: conn, state: AddressState{Address: a.String()}})
	}
	return c, nil
}

// Close ends all connections.
func (c *Client) Close() error {
	var errs []error
	for _, a := range c.addresses {
		errs = append(errs, a.conn.Close())
	}
	return errors.Join(errs...)
}

// Addresses tells how each admin address is, in the admin's order.
func (c *Client) Addresses() []AddressState {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make([]AddressState, len(c.addresses))
	for i, a := range c.addresses {
		states[i] = a.state
		states[i].Active = i == c.good
	}
	return states
}

// try makes a call over the address that answered last, then over the others in
// the admin's order, until one answers. It is safe to repeat a call over another
// address while the first may still be at work: all calls are idempotent, and the
// storage processor lets one at a time work on a volume.
func (c *Client) try(ctx context.Context, call func(context.Context, spv1.StorageProcessorClient) error) error {
	c.mu.Lock()
	first := c.good
	c.mu.Unlock()
	order := []int{first}
	for i := range c.addresses {
		if i != first {
			order = append(order, i)
		}
	}
	var err error
	for _, i := range order {
		a := c.addresses[i]
		err = a.call(ctx, call)
		if ctx.Err() != nil {
			return err // The caller's time is up; the address is not to blame.
		}
		if !unreachable(err) {
			c.answered(i)
			return err
		}
		c.mu.Lock()
		a.state.Tried, a.state.Err = time.Now(), err
		c.mu.Unlock()
		c.log.WarnContext(ctx, "storage processor does not answer", "address", a.state.Address, "error", err)
	}
	return err
}

// answered notes that an address works.
func (c *Client) answered(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.good = i
	c.addresses[i].state.Tried, c.addresses[i].state.Err = time.Now(), nil
}

func (a *address) call(ctx context.Context, call func(context.Context, spv1.StorageProcessorClient) error) error {
	if err := a.connect(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx, spv1.NewStorageProcessorClient(a.conn))
}

// connect waits until the connection is up, and gives up at the first failure
// that it sees. gRPC shows an earlier failure until the connection is up again, so
// an address that failed before is given the whole time. Its back-off runs on:
// ClientConn.ResetConnectBackoff of grpc 1.85 walks a map that others write.
func (a *address) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	a.conn.Connect()
	for tried := false; ; {
		s := a.conn.GetState()
		switch s {
		case connectivity.Ready:
			return nil
		case connectivity.Connecting:
			tried = true
		case connectivity.TransientFailure, connectivity.Shutdown:
			if tried || s == connectivity.Shutdown {
				return status.Error(codes.Unavailable, "no connection")
			}
		case connectivity.Idle:
			a.conn.Connect()
		}
		if !a.conn.WaitForStateChange(ctx, s) {
			return status.Error(codes.Unavailable, "no connection in time")
		}
	}
}

// unreachable reports whether another address may do better.
func unreachable(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}
