// SPDX-License-Identifier: Apache-2.0

package spclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
)

const (
	// connectTimeout is how long a host may take to answer before the next is
	// tried. One that is cut off does not answer at all, and every call would wait.
	connectTimeout = 2 * time.Second
	// lookupTimeout is how long a name may take to be found before the next host is
	// tried.
	lookupTimeout = 2 * time.Second
)

// host is one way to the storage processor.
type host struct {
	mallee.Endpoint
	lookup    func(ctx context.Context, name string) ([]netip.Addr, error)
	conn      *grpc.ClientConn
	addresses addresses
	state     HostState // guarded by Client.mu
}

func newHost(e mallee.Endpoint, o Options) (*host, error) {
	h := &host{Endpoint: e, lookup: o.LookupHost, state: HostState{Host: e.String()}}
	if h.lookup == nil {
		h.lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if e.Name == "" {
		h.addresses.set([]netip.AddrPort{netip.AddrPortFrom(e.Addr, e.Port)})
	}
	var err error
	h.conn, err = o.Dial(scheme+":///"+url.PathEscape(e.String()), grpc.WithResolvers(&h.addresses))
	return h, err
}

func (h *host) call(ctx context.Context, call func(context.Context, spv1.StorageProcessorClient) error) error {
	if err := h.connect(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx, spv1.NewStorageProcessorClient(h.conn))
}

// connect waits until the connection is up, and gives up when each address has
// failed. gRPC shows an earlier failure until the connection is up again, so a host
// that failed before is given the whole time. Its back-off runs on:
// ClientConn.ResetConnectBackoff of grpc 1.85 walks a map that others write.
func (h *host) connect(ctx context.Context) error {
	if h.conn.GetState() == connectivity.Ready {
		return nil
	}
	if err := h.find(ctx); err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	h.conn.Connect()
	for tried := false; ; {
		s := h.conn.GetState()
		switch s {
		case connectivity.Ready:
			return nil
		case connectivity.Connecting:
			tried = true
		case connectivity.TransientFailure, connectivity.Shutdown:
			if tried || s == connectivity.Shutdown {
				return status.Error(codes.Unavailable, "no connection"+h.behind())
			}
		case connectivity.Idle:
			h.conn.Connect()
		}
		if !h.conn.WaitForStateChange(ctx, s) {
			return status.Error(codes.Unavailable, "no connection"+h.behind())
		}
	}
}

// find looks a name up, each time that there is to be a new connection. What it led
// to before is good for as long as nobody knows better, so that a name server that
// is away cuts nothing off.
func (h *host) find(ctx context.Context) error {
	if h.Name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := h.lookup(ctx, h.Name)
	if err == nil && len(found) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		if h.addresses.known() {
			return nil
		}
		return lookupFailure(err)
	}
	list := make([]netip.AddrPort, len(found))
	for i, a := range found {
		list[i] = netip.AddrPortFrom(a.Unmap(), h.Port)
	}
	h.addresses.set(list)
	return nil
}

// lookupFailure says why a name was not found, in words that are the same each time:
// the system's tell of ports that change.
func lookupFailure(err error) error {
	e, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && e.IsNotFound:
		return errors.New("there is no such host name")
	case ok && e.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return errors.New("its name was not found in time")
	case ok:
		return errors.New("its name cannot be looked up")
	}
	return err
}

// behind names the addresses behind a name.
func (h *host) behind() string {
	if h.Name == "" {
		return ""
	}
	var texts []string
	for _, a := range h.addresses.get() {
		texts = append(texts, a.Addr().String())
	}
	slices.Sort(texts)
	return " to " + strings.Join(texts, ", ")
}
