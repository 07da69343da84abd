// SPDX-License-Identifier: Apache-2.0

// Package spclient is a storage processor as a san.SAN, reached over any of its
// admin hosts.
//
// A host is what the admin has written into sanhost: an address, or a name that
// stands for one or more addresses. Hosts are tried in the admin's order, and the
// one that has answered is kept until it does not. There is no penalty: when none
// has answered, the next call tries them all again.
package spclient

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/san"
)

// callTimeout bounds a call on one host. lvm takes seconds on a busy machine, and
// taking an export back waits for the commands in flight.
const callTimeout = 60 * time.Second

// Options says where the storage processor is.
type Options struct {
	Hosts []mallee.Endpoint // in the admin's order
	// Dial returns a connection without waiting for it; grpc.NewClient does so. A
	// certificate that it asks for must not be one for the host's name: a name may
	// lead to any of the storage processor's addresses.
	Dial func(target string, o ...grpc.DialOption) (*grpc.ClientConn, error)
	// Login returns what a call proves itself with, beside the certificate; nil for
	// nothing. It is asked for each call.
	Login func() san.Login
	// LookupHost returns the addresses of a name; nil: the system's resolver.
	LookupHost func(ctx context.Context, name string) ([]netip.Addr, error)
	Log        *slog.Logger
}

// Client is one storage processor. It is safe for concurrent use.
type Client struct {
	hosts []*host
	login func() san.Login
	log   *slog.Logger

	mu   sync.Mutex
	good int // index of the host that answered last
}

// HostState tells how a host was when it was last tried.
type HostState struct {
	Host string // "san1:8775"
	// Active is true for the one host that calls go to first.
	Active bool
	// Tried is zero while the host was never needed.
	Tried time.Time
	// Err says why it did not answer, nil if it did.
	Err error
}

var _ san.SAN = (*Client)(nil)

// New returns a client, without connecting or looking up a name yet.
func New(o Options) (*Client, error) {
	if len(o.Hosts) == 0 {
		return nil, errors.New("a storage processor needs at least one admin host")
	}
	c := &Client{login: o.Login, log: o.Log}
	for _, e := range o.Hosts {
		h, err := newHost(e, o)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.hosts = append(c.hosts, h)
	}
	return c, nil
}

// Close ends all connections.
func (c *Client) Close() error {
	var errs []error
	for _, h := range c.hosts {
		errs = append(errs, h.conn.Close())
	}
	return errors.Join(errs...)
}

// Hosts tells how each host is, in the admin's order.
func (c *Client) Hosts() []HostState {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make([]HostState, len(c.hosts))
	for i, h := range c.hosts {
		states[i] = h.state
		states[i].Active = i == c.good
	}
	return states
}

// try makes a call over the host that answered last, then over the others in
// the admin's order, until one answers. It is safe to repeat a call over another
// host while the first may still be at work: all calls are idempotent, and the
// storage processor lets one at a time work on a volume.
func (c *Client) try(ctx context.Context, call func(context.Context, spv1.StorageProcessorClient) error) error {
	c.mu.Lock()
	first := c.good
	c.mu.Unlock()
	order := []int{first}
	for i := range c.hosts {
		if i != first {
			order = append(order, i)
		}
	}
	if c.login != nil {
		ctx = withLogin(ctx, c.login())
	}
	var reasons []string
	for _, i := range order {
		err := c.hosts[i].call(ctx, call)
		if ctx.Err() != nil {
			return err // The caller's time is up; the host is not to blame.
		}
		if !unreachable(err) {
			c.answered(i)
			return err
		}
		c.missed(ctx, i, err)
		reasons = append(reasons, c.hosts[i].String()+": "+message(err))
	}
	return status.Error(codes.Unavailable, strings.Join(reasons, "; "))
}

// answered notes that a host works.
func (c *Client) answered(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.good = i
	c.hosts[i].state.Tried, c.hosts[i].state.Err = time.Now(), nil
}

// missed notes that a host does not answer, and logs it unless it was so before.
func (c *Client) missed(ctx context.Context, i int, err error) {
	c.mu.Lock()
	s := &c.hosts[i].state
	isNew := s.Err == nil || message(s.Err) != message(err)
	s.Tried, s.Err = time.Now(), err
	c.mu.Unlock()
	if isNew {
		c.log.WarnContext(ctx, "storage processor does not answer", "host", s.Host, "error", message(err))
	}
}

// unreachable reports whether another host may do better.
func unreachable(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}
