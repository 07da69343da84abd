// SPDX-License-Identifier: Apache-2.0

package reach

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// route is how the kernel would send to an address.
type route struct {
	local   bool       // to this machine itself
	device  int        // the index of the device that it leaves by
	gateway netip.Addr // the neighbour that it is handed to; invalid when that is the address itself
	source  netip.Addr // that it would have; invalid when the kernel names none
}

var (
	// errNoRoute is the error for an address that the kernel has no way to.
	errNoRoute   = errors.New("no route")
	errMalformed = errors.New("the kernel's answer is malformed")
)

// routeTo asks the kernel how a connection to addr would leave, through the
// device with that index unless it is 0.
func routeTo(addr netip.Addr, device int) (route, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return route{}, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	// The kernel answers while it takes the question: the time limit is for a
	// kernel that does not.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return route{}, os.NewSyscallError("setsockopt", err)
	}
	r, err := askRoute(fd, routeQuestion{addr: addr, device: device})
	if err != nil || !addr.Is4() || r.local {
		return r, err
	}
	// A connection of IPv4 looks twice, the second time with the source address
	// that it found first, for which policy routing may have another answer
	// (include/net/route.h, ip_route_connect).
	again := routeQuestion{addr: addr, device: device, source: r.source}
	if r, err = askRoute(fd, again); err != nil || device == 0 {
		return r, err
	}
	// Where no route fits and a device is given, the kernel takes the address for
	// one on the link (net/ipv4/route.c, ip_route_output_key_hash_rcu). Asked for
	// the entry of its table, it admits that there is none; one that is there may
	// have several devices, and tells nothing more.
	again.entry = true
	if _, err := askRoute(fd, again); errors.Is(err, errNoRoute) {
		return route{}, err
	}
	return r, nil
}

// routeQuestion is what RTM_GETROUTE asks.
type routeQuestion struct {
	addr   netip.Addr
	source netip.Addr // may be invalid
	device int        // may be 0
	entry  bool       // for the entry in the table, and not for what the kernel makes of it
}

func askRoute(fd int, q routeQuestion) (route, error) {
	if err := unix.Sendto(fd, q.message(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return route{}, os.NewSyscallError("sendto", err)
	}
	b := make([]byte, 8<<10) // what the kernel makes room for (NLMSG_GOODSIZE), at most
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return route{}, os.NewSyscallError("recvfrom", err)
	}
	return parseRoute(b[:n])
}

// message writes q as struct nlmsghdr, struct rtmsg and attributes (rtnetlink(7)).
func (q routeQuestion) message() []byte {
	family := byte(unix.AF_INET6)
	if q.addr.Is4() {
		family = unix.AF_INET
	}
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_GETROUTE)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	rt := b[unix.SizeofNlMsghdr:]
	rt[0] = family
	rt[1] = byte(q.addr.BitLen())
	if q.source.IsValid() {
		rt[2] = byte(q.source.BitLen())
	}
	if q.entry {
		binary.NativeEndian.PutUint32(rt[8:], unix.RTM_F_FIB_MATCH)
	}
	b = appendAttribute(b, unix.RTA_DST, q.addr.AsSlice())
	if q.source.IsValid() {
		b = appendAttribute(b, unix.RTA_SRC, q.source.AsSlice())
	}
	if q.device != 0 {
		b = appendAttribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(q.device)))
	}
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

// appendAttribute appends a struct rtattr. All that are used here are a multiple
// of 4 bytes long, so that they need no padding.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}

// parseRoute parses the answer to RTM_GETROUTE.
func parseRoute(b []byte) (route, error) {
	if len(b) < unix.SizeofNlMsghdr {
		return route{}, errMalformed
	}
	kind, data := binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr:]
	if kind == unix.NLMSG_ERROR && len(data) >= 4 {
		return route{}, routeError(syscall.Errno(-int32(binary.NativeEndian.Uint32(data))))
	}
	if kind != unix.RTM_NEWROUTE || len(data) < unix.SizeofRtMsg {
		return route{}, errMalformed
	}
	r := route{local: data[7] == unix.RTN_LOCAL}
	ok := eachAttribute(data[unix.SizeofRtMsg:], func(kind uint16, value []byte) bool {
		switch kind {
		case unix.RTA_OIF:
			if len(value) != 4 {
				return false
			}
			r.device = int(binary.NativeEndian.Uint32(value))
		case unix.RTA_GATEWAY:
			return setAddr(&r.gateway, value)
		case unix.RTA_VIA: // a gateway of the other family: struct rtvia
			return len(value) > 2 && setAddr(&r.gateway, value[2:])
		case unix.RTA_SRC, unix.RTA_PREFSRC:
			return setAddr(&r.source, value)
		}
		return true
	})
	if !ok || r.device == 0 {
		return route{}, errMalformed
	}
	return r, nil
}

// eachAttribute calls do with each struct rtattr of b until do returns false, and
// reports whether all is well. (syscall.ParseNetlinkRouteAttr panics when the last
// one lacks its padding.)
func eachAttribute(b []byte, do func(kind uint16, value []byte) bool) bool {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) || !do(binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:size]) {
			return false
		}
		b = b[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b)):]
	}
	return true
}

func setAddr(a *netip.Addr, value []byte) (ok bool) {
	*a, ok = netip.AddrFromSlice(value)
	return ok
}

// routeError returns what a refusal means: a route may exist to say that there is
// none, of type "unreachable" or "prohibit" (net/ipv4/fib_semantics.c, fib_props).
func routeError(errno syscall.Errno) error {
	switch errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES:
		return errNoRoute
	}
	return os.NewSyscallError("RTM_GETROUTE", errno)
}
