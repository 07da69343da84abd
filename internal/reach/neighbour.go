// SPDX-License-Identifier: Apache-2.0

package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A neighbour is asked as often as the kernel would (mcast_solicit, arp(7)), but faster.
const (
	questions    = 3
	answerPeriod = 300 * time.Millisecond
)

// solicitation is a question to the neighbours behind a device.
type solicitation struct {
	packet []byte
	to     unix.Sockaddr
	// answeredBy reports whether a packet, which came with these control messages,
	// is the answer.
	answeredBy func(packet, control []byte) bool
}

// ask reports whether the neighbour at addr answers on d. source is the address
// that this machine would send from. The end of ctx is noticed within an
// answerPeriod.
func ask(ctx context.Context, d net.Interface, source, addr netip.Addr) (bool, error) {
	answers, err := solicit(ctx, d, source, addr)
	if err != nil {
		return false, fmt.Errorf("cannot ask for %s on %s: %w", addr.WithZone(""), d.Name, err)
	}
	return answers, nil
}

func solicit(ctx context.Context, d net.Interface, source, addr netip.Addr) (bool, error) {
	if err := checkNeighbours(d); err != nil {
		return false, err
	}
	open := openARP
	if addr.Is6() {
		open = openND
	}
	fd, s, err := open(d, source, addr)
	if err != nil {
		return false, err
	}
	f := os.NewFile(uintptr(fd), "neighbours of "+d.Name)
	defer f.Close()
	for range questions {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := unix.Sendto(fd, s.packet, 0, s.to); err != nil {
			return false, os.NewSyscallError("sendto", err)
		}
		switch err := s.await(f, time.Now().Add(answerPeriod)); {
		case err == nil:
			return true, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return false, err
		}
	}
	return false, nil
}

// await returns nil once the answer has come, and os.ErrDeadlineExceeded when it
// has not by the deadline, whatever else has come.
func (s solicitation) await(f *os.File, deadline time.Time) error {
	if err := f.SetReadDeadline(deadline); err != nil {
		return err
	}
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	packet, control := make([]byte, 2048), make([]byte, 256)
	for {
		var n, controlled int
		var failed error
		err := c.Read(func(fd uintptr) bool {
			n, controlled, _, _, failed = unix.Recvmsg(int(fd), packet, control, 0)
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err != nil {
			return err
		}
		if failed != nil {
			return os.NewSyscallError("recvmsg", failed)
		}
		if s.answeredBy(packet[:n], control[:controlled]) {
			return nil
		}
	}
}

// checkNeighbours returns an error for a device that has no neighbours that could
// be asked, as a tunnel, or whose addresses are not Ethernet's.
func checkNeighbours(d net.Interface) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(d.Name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return os.NewSyscallError("SIOCGIFFLAGS", err)
	}
	if request.Uint16()&unix.IFF_NOARP != 0 || len(d.HardwareAddr) != hardwareAddrLen {
		return errors.New("it is not an Ethernet, and only a connection would tell")
	}
	return nil
}
