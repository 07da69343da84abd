// SPDX-License-Identifier: Apache-2.0

package reach

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Neighbour discovery's messages (RFC 4861 §4.3, §4.4).
const (
	ndSolicitation  = 135
	ndAdvertisement = 136
	ndLen           = 24   // type, code, checksum, flags, target
	ndSolicited     = 0x40 // the flag of an advertisement that is an answer
	ndSourceLink    = 1    // the option with the sender's hardware address, in units of 8 bytes
	// ndHopLimit is what a message must arrive with: no router has forwarded it.
	ndHopLimit = 255
)

// openND returns a socket and what to ask over it to find addr. The kernel fills
// in the checksum and the source address, for which any of the device will do
// (RFC 4861 §7.2.2).
func openND(d net.Interface, _, addr netip.Addr) (int, solicitation, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return -1, solicitation{}, os.NewSyscallError("socket", err)
	}
	if err := setND(fd, d.Name); err != nil {
		unix.Close(fd)
		return -1, solicitation{}, os.NewSyscallError("setsockopt", err)
	}
	return fd, solicitation{
		packet: ndQuestion(d.HardwareAddr, addr),
		to:     &unix.SockaddrInet6{Addr: solicitedNode(addr), ZoneId: uint32(d.Index)},
		answeredBy: func(packet, control []byte) bool {
			return hopLimit(control) == ndHopLimit && isAdvertisement(packet, addr)
		},
	}, nil
}

func setND(fd int, device string) error {
	if err := unix.BindToDevice(fd, device); err != nil {
		return err
	}
	var others unix.ICMPv6Filter // a bit for each type that is kept away
	for i := range others.Data {
		others.Data[i] = ^uint32(0)
	}
	others.Data[ndAdvertisement/32] &^= 1 << (ndAdvertisement % 32)
	if err := unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &others); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, ndHopLimit)
}

// solicitedNode returns the multicast address that the host with addr listens to (RFC 4291 §2.7.1).
func solicitedNode(addr netip.Addr) [16]byte {
	a := addr.As16()
	return [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
}

// ndQuestion asks who has addr.
func ndQuestion(hardware net.HardwareAddr, addr netip.Addr) []byte {
	b := append(make([]byte, 0, ndLen+8), ndSolicitation, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, addr.AsSlice()...)
	return append(append(b, ndSourceLink, 1), hardware...)
}

// isAdvertisement reports whether b is the answer of who has addr.
func isAdvertisement(b []byte, addr netip.Addr) bool {
	return len(b) >= ndLen && b[0] == ndAdvertisement && b[1] == 0 &&
		b[4]&ndSolicited != 0 && bytes.Equal(b[8:ndLen], addr.AsSlice())
}

// hopLimit returns the hop limit that a packet has come with, 0 when the control
// messages do not tell.
func hopLimit(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT && len(m.Data) >= 4 {
			return int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return 0
}
