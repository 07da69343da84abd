// SPDX-License-Identifier: Apache-2.0

package block

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Uevent is what the kernel tells of one device.
type Uevent struct {
	Subsystem string // block, scsi, iscsi_session …
	Lost      bool   // events were lost before this one: look at everything anew
	// Doubt is true when a target has said that its LUNs, or what they are, have
	// changed (a unit attention, drivers/scsi/scsi_lib.c, scsi_evt_emit). It says so
	// in answer to the next command, over each session.
	Doubt   bool
	Session int // the iSCSI session below which the device is, or 0
}

// Uevents calls handle, one event after the other, until ctx ends. The socket
// is open when ready is called, so that whoever looks at sysfs after that loses
// nothing. handle must not block for long: the kernel drops what it cannot
// queue, and then an event with Lost set follows.
func Uevents(ctx context.Context, ready func(), handle func(Uevent)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("cannot listen for uevents: %w", err)
	}
	// With a *os.File the runtime's poller waits, and Close ends a Read.
	socket := os.NewFile(uintptr(fd), "uevents")
	defer socket.Close()
	// Group 1 is the kernel's own events, before udev.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return fmt.Errorf("cannot listen for uevents: %w", err)
	}
	// Hundreds of devices appear at once when many volumes are attached. Needs
	// CAP_NET_ADMIN; without it the default stays, and Lost tells the rest.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	ready()

	buf := make([]byte, 64<<10)
	for {
		n, err := socket.Read(buf)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOBUFS):
			handle(Uevent{Lost: true})
		case err != nil:
			return fmt.Errorf("cannot read uevents: %w", err)
		default:
			if e, ok := parseUevent(buf[:n]); ok {
				handle(e)
			}
		}
	}
}

// parseUevent reads "ACTION@DEVPATH", then KEY=VALUE, each ended by a zero byte
// (lib/kobject_uevent.c).
func parseUevent(message []byte) (Uevent, bool) {
	fields := bytes.Split(message, []byte{0})
	if !bytes.Contains(fields[0], []byte("@")) {
		return Uevent{}, false
	}
	var e Uevent
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(string(field), "=")
		switch key {
		case "SUBSYSTEM":
			e.Subsystem = value
		case "SDEV_UA":
			e.Doubt = value == "INQUIRY_DATA_HAS_CHANGED" || value == "REPORTED_LUNS_DATA_HAS_CHANGED"
		case "DEVPATH":
			e.Session = sessionIn(value)
		}
	}
	return e, true
}

// sessionIn returns the number of the session in the path of a device below it,
// "/devices/platform/host2/session1/target2:0:0/…".
func sessionIn(path string) int {
	for part := range strings.SplitSeq(path, "/") {
		if digits, ok := strings.CutPrefix(part, "session"); ok {
			if n, err := strconv.Atoi(digits); err == nil {
				return n
			}
		}
	}
	return 0
}
