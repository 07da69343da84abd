// SPDX-License-Identifier: Apache-2.0

package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee"
)

// probeTimeout is how long a portal may take to accept a connection: the kernel
// sends its SYN again after one second (RFC 6298 §2).
const probeTimeout = 2 * time.Second

// probe makes a TCP connection through device, or through the one of routing's
// choice when that is empty, and resets it: after a close in order the target
// would go on waiting for a login.
func probe(ctx context.Context, device string, portal netip.AddrPort) Verdict {
	dialer := net.Dialer{Timeout: probeTimeout, Control: func(_, _ string, c syscall.RawConn) error {
		if device == "" {
			return nil
		}
		return bindToDevice(c, device)
	}}
	addr := portal.Addr()
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(device)
	}
	conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, portal.Port()).String())
	switch {
	case err == nil:
		// With a linger time of 0 Close sends RST (tcp_close, net/ipv4/tcp.c).
		if err := errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()); err != nil {
			return unsure(fmt.Errorf("cannot reset a connection to %s: %w", portal, err))
		}
		return Verdict{State: mallee.Reachable, Evidence: mallee.ByTCP}
	case ctx.Err() != nil:
		return unsure(ctx.Err())
	case notPermitted(err):
		return unsure(err)
	}
	v := Verdict{State: mallee.Unreachable, Reason: err.Error()}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		v.Reason = e.Err.Error() // without the addresses, which the caller knows
		if e.Timeout() {
			v.Reason = fmt.Sprintf("it takes no connection within %v", probeTimeout)
		}
	}
	return v
}

func bindToDevice(c syscall.RawConn, device string) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), device) }); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", failed)
}
