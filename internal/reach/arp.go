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

const hardwareAddrLen = 6

// arpHead is what a packet of ARP for IPv4 on Ethernet begins with (RFC 826): the
// hardware, the protocol, and the lengths of their addresses. The operation, and
// the addresses of sender and target follow.
var arpHead = []byte{0, 1, 0x08, 0, hardwareAddrLen, 4}

const (
	arpRequest = 1
	arpReply   = 2
	arpLen     = 28
)

// openARP returns a socket and what to ask over it to find addr.
func openARP(d net.Interface, source, addr netip.Addr) (int, solicitation, error) {
	protocol := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ARP)) // htons
	// Without a protocol the socket hears nothing until it is bound to the device.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, solicitation{}, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: d.Index}); err != nil {
		unix.Close(fd)
		return -1, solicitation{}, os.NewSyscallError("bind", err)
	}
	everybody := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: d.Index, Halen: hardwareAddrLen}
	copy(everybody.Addr[:], "\xff\xff\xff\xff\xff\xff")
	return fd, solicitation{
		packet:     arpQuestion(d.HardwareAddr, source, addr),
		to:         everybody,
		answeredBy: func(packet, _ []byte) bool { return isARPReply(packet, addr) },
	}, nil
}

// arpQuestion asks who has addr. Without a source it is a probe (RFC 5227 §2.1.1),
// which is answered too.
func arpQuestion(hardware net.HardwareAddr, source, addr netip.Addr) []byte {
	if !source.Is4() {
		source = netip.IPv4Unspecified()
	}
	b := append(make([]byte, 0, arpLen), arpHead...)
	b = binary.BigEndian.AppendUint16(b, arpRequest)
	b = append(append(b, hardware...), source.AsSlice()...)
	b = append(b, make([]byte, hardwareAddrLen)...) // which is what is asked for
	return append(b, addr.AsSlice()...)
}

// isARPReply reports whether b says who has addr. A frame is longer than the
// packet: Ethernet's least is 60 bytes.
func isARPReply(b []byte, addr netip.Addr) bool {
	return len(b) >= arpLen &&
		bytes.HasPrefix(b, arpHead) &&
		binary.BigEndian.Uint16(b[6:]) == arpReply &&
		bytes.Equal(b[14:18], addr.AsSlice())
}
