// SPDX-License-Identifier: Apache-2.0

// Package multipath speaks with multipathd over its socket and keeps our lines
// in the file of WWIDs that multipathd may make maps of.
//
// A map is a device-mapper device of several paths to one LUN; its UUID is
// "mpath-" and the WWID, whatever alias it was given. A path is a SCSI disk.
package multipath

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// UUIDPrefix begins the device-mapper UUID of every multipath map.
const UUIDPrefix = "mpath-"

// socket is where multipathd listens: an abstract socket, of the network
// namespace of the machine (libmpathcmd/mpath_cmd.h).
const socket = "@/org/kernel/linux/storage/multipathd"

// maxReply is the longest reply that multipathd's own client takes
// (libmpathcmd/mpath_cmd.h, MAX_REPLY_LEN).
const maxReply = 32 << 20

// DefaultTimeout bounds a command whose caller's context has no earlier
// deadline. multipathd itself answers "timeout" after 4 s (uxsock_timeout).
const DefaultTimeout = 10 * time.Second

var (
	// ErrNotRunning is the error of every command while multipathd does not listen.
	ErrNotRunning = errors.New("multipathd does not answer on its socket")
	// ErrFailed is multipathd's answer "fail".
	ErrFailed = errors.New("multipathd refused")
)

// Client sends commands to multipathd. The zero value is ready for use; each
// command has a connection of its own, so that a Client is safe for concurrent use.
type Client struct {
	Socket string // replaces multipathd's own, in tests
}

// Command sends one command and returns the reply.
//
// A message is its length in eight bytes of the machine's byte order, then the
// text with a zero byte (libmpathcmd/mpath_cmd.c, mpath_send_cmd).
func (c Client) Command(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	message := binary.NativeEndian.AppendUint64(nil, uint64(len(command)+1))
	message = append(append(message, command...), 0)
	if _, err := conn.Write(message); err != nil {
		return "", fmt.Errorf("cannot send %q to multipathd: %w", command, cmp.Or(ctx.Err(), err))
	}
	reply, err := readReply(conn)
	if err != nil {
		return "", fmt.Errorf("no reply of multipathd to %q: %w", command, cmp.Or(ctx.Err(), err))
	}
	return reply, nil
}

func readReply(r io.Reader) (string, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	length := binary.NativeEndian.Uint64(head[:])
	if length > maxReply {
		return "", fmt.Errorf("a reply of %d bytes is too long", length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	return strings.TrimRight(string(body), "\x00"), nil
}

// Ping reports whether multipathd listens. It costs a connection, and nothing that
// grows with the number of maps.
func (c Client) Ping(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (c Client) dial(ctx context.Context) (net.Conn, error) {
	address := c.Socket
	if address == "" {
		address = socket
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("cannot connect to multipathd: %w", ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return conn, nil
}

// do sends a command whose answer is "ok" or a refusal.
func (c Client) do(ctx context.Context, command string) error {
	reply, err := c.Command(ctx, command)
	if err != nil {
		return err
	}
	if reply = strings.TrimSpace(reply); reply != "ok" {
		return fmt.Errorf("%w %q: %s", ErrFailed, command, reply)
	}
	return nil
}

// AddMap makes multipathd take over a map that is there, by its kernel name
// ("dm-0"). For one that it knows already it is success.
func (c Client) AddMap(ctx context.Context, device string) error {
	return c.do(ctx, "add map "+device)
}

// AddPath makes multipathd take a disk. It fails until udev is done with the disk.
func (c Client) AddPath(ctx context.Context, disk string) error {
	return c.do(ctx, "add path "+disk)
}

// RemovePath makes multipathd take a disk out of its map and forget it. With its
// last path a map goes too.
func (c Client) RemovePath(ctx context.Context, disk string) error {
	return c.do(ctx, "del path "+disk)
}

// RemoveMap makes multipathd remove a map, by its name or its kernel name
// ("dm-0"). It fails while the map is open.
func (c Client) RemoveMap(ctx context.Context, name string) error {
	return c.do(ctx, "remove map "+name)
}

// ResizeMap makes a map as large as its disks are. It answers well, too, when it
// changes nothing: multipathd looks at the first disk alone (0.9.4,
// multipathd/cli_handlers.c, cli_resize). All disks must have the new size, or
// the kernel refuses the map; and one of them must carry I/O: I/O that waits for
// a path fails, since multipathd suspends the map without keeping it.
func (c Client) ResizeMap(ctx context.Context, name string) error {
	return c.do(ctx, "resize map "+name)
}

// DisableQueueing makes I/O to a map without usable paths fail at once.
func (c Client) DisableQueueing(ctx context.Context, name string) error {
	return c.do(ctx, "disablequeueing map "+name)
}

// RestoreQueueing undoes DisableQueueing.
func (c Client) RestoreQueueing(ctx context.Context, name string) error {
	return c.do(ctx, "restorequeueing map "+name)
}

// Reconfigure makes multipathd read its configuration anew. Maps stay.
func (c Client) Reconfigure(ctx context.Context) error {
	return c.do(ctx, "reconfigure")
}
