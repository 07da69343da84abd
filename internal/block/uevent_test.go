// SPDX-License-Identifier: Apache-2.0

package block

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseUevent(t *testing.T) {
	const session = "/devices/platform/host2/session1/iscsi_session/session1"
	for _, test := range []struct {
		name    string
		message string
		want    Uevent
		ok      bool
	}{
		{
			"a disk comes", "add@/devices/x/block/sdb\x00ACTION=add\x00DEVPATH=/devices/x/block/sdb\x00SUBSYSTEM=block\x00SEQNUM=1\x00",
			Uevent{Subsystem: "block"},
			true,
		},
		{
			"a session goes", "remove@" + session + "\x00SUBSYSTEM=iscsi_session\x00",
			Uevent{Subsystem: "iscsi_session"},
			true,
		},
		{"no subsystem", "change@/devices/x\x00", Uevent{}, true},
		{"no zero byte", "offline@/devices/x", Uevent{}, true},
		{"of udev", "libudev\x00\xfe\xed\xca\xfe", Uevent{}, false},
		{"empty", "", Uevent{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseUevent([]byte(test.message))
			if got != test.want || ok != test.ok {
				t.Errorf("got %+v, %t, want %+v, %t", got, ok, test.want, test.ok)
			}
		})
	}
}

func FuzzParseUevent(f *testing.F) {
	f.Add([]byte("add@/devices/x/block/sdb\x00ACTION=add\x00SUBSYSTEM=block\x00"))
	f.Add([]byte("@"))
	f.Add([]byte("libudev\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		e, ok := parseUevent(message)
		if ok && !strings.Contains(string(message), e.Subsystem) || !ok && e.Subsystem != "" {
			t.Errorf("%+v, %t is not what %q says", e, ok, message)
		}
		if e.Lost {
			t.Error("a message that was read says that one was lost")
		}
	})
}

func TestUeventsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Uevents(ctx, cancel, func(Uevent) {})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skip(err)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
