// SPDX-License-Identifier: Apache-2.0

package reach

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// answer makes a message of the kernel's.
func answer(kind uint16, payload []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, make([]byte, 10)...) // flags, sequence, port
	return append(b, payload...)
}

// routeAnswer makes an answer with a route of this type.
func routeAnswer(kind byte, attributes ...[]byte) []byte {
	payload := []byte{unix.AF_INET, 32, 0, 0, unix.RT_TABLE_MAIN, 0, 0, kind, 0, 0, 0, 0}
	for _, a := range attributes {
		payload = append(payload, a...)
	}
	return answer(unix.RTM_NEWROUTE, payload)
}

func refusal(errno syscall.Errno) []byte {
	return answer(unix.NLMSG_ERROR, append(binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))), make([]byte, unix.SizeofNlMsghdr)...))
}

var (
	eth1    = appendAttribute(nil, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, 3))
	source  = appendAttribute(nil, unix.RTA_PREFSRC, []byte{10, 1, 1, 5})
	gateway = appendAttribute(nil, unix.RTA_GATEWAY, []byte{10, 1, 1, 254})
	via     = append(appendAttribute(nil, unix.RTA_VIA, append(binary.NativeEndian.AppendUint16(nil, unix.AF_INET6), netip.MustParseAddr("fd00::1").AsSlice()...)), 0, 0)
	bare    = appendAttribute(nil, unix.RTA_METRICS, []byte{1, 2, 3}) // which lacks its padding
	cut     = binary.NativeEndian.AppendUint16(nil, 200)              // an attribute that is longer than the message
)

func TestParseRoute(t *testing.T) {
	from := netip.MustParseAddr("10.1.1.5")
	for name, c := range map[string]struct {
		answer  []byte
		want    route
		wantErr error // nil with a want
	}{
		"on the link":                  {answer: routeAnswer(unix.RTN_UNICAST, eth1, source), want: route{device: 3, source: from}},
		"through a gateway":            {answer: routeAnswer(unix.RTN_UNICAST, source, gateway, eth1), want: route{device: 3, source: from, gateway: netip.MustParseAddr("10.1.1.254")}},
		"through one of IPv6":          {answer: routeAnswer(unix.RTN_UNICAST, eth1, via, source), want: route{device: 3, source: from, gateway: netip.MustParseAddr("fd00::1")}},
		"local":                        {answer: routeAnswer(unix.RTN_LOCAL, eth1), want: route{local: true, device: 3}},
		"no route":                     {answer: refusal(unix.ENETUNREACH), wantErr: errNoRoute},
		"a route that says no":         {answer: refusal(unix.EHOSTUNREACH), wantErr: errNoRoute},
		"a route that prohibits":       {answer: refusal(unix.EACCES), wantErr: errNoRoute},
		"the device has gone":          {answer: refusal(unix.ENODEV), wantErr: unix.ENODEV},
		"nothing":                      {wantErr: errMalformed},
		"padding left out":             {answer: routeAnswer(unix.RTN_UNICAST, eth1, source, bare), want: route{device: 3, source: from}},
		"cut off in its head":          {answer: routeAnswer(unix.RTN_UNICAST)[:20], wantErr: errMalformed},
		"cut off in an attribute":      {answer: routeAnswer(unix.RTN_UNICAST, cut, gateway), wantErr: errMalformed},
		"no route, but something else": {answer: answer(unix.RTM_NEWLINK, make([]byte, 32)), wantErr: errMalformed},
		"a refusal without a reason":   {answer: answer(unix.NLMSG_ERROR, nil), wantErr: errMalformed},
		"addresses of odd lengths":     {answer: routeAnswer(unix.RTN_UNICAST, eth1, appendAttribute(nil, unix.RTA_GATEWAY, make([]byte, 8))), wantErr: errMalformed},
		"no device":                    {answer: routeAnswer(unix.RTN_UNICAST, source), wantErr: errMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseRoute(c.answer)
			if !errors.Is(err, c.wantErr) || got != c.want {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, c.want, c.wantErr)
			}
		})
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, seed := range [][]byte{
		routeAnswer(unix.RTN_UNICAST, eth1, source), routeAnswer(unix.RTN_UNICAST, source, gateway, eth1),
		routeAnswer(unix.RTN_UNICAST, eth1, via), routeAnswer(unix.RTN_LOCAL, eth1), routeAnswer(unix.RTN_UNICAST, cut), routeAnswer(unix.RTN_UNICAST, bare),
		refusal(unix.ENETUNREACH), refusal(unix.ENODEV), answer(unix.NLMSG_ERROR, nil), nil,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRoute(b)
		if err != nil && r != (route{}) {
			t.Errorf("%v, and %+v", err, r)
		}
		if err == nil && r.device == 0 {
			t.Errorf("a route through no device: %+v", r)
		}
	})
}

// The kernel itself, without a packet sent.
func TestRouteToOurselves(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "127.1.2.3"} {
		r, err := routeTo(netip.MustParseAddr(addr), 0)
		if err != nil || !r.local || r.device == 0 {
			t.Errorf("%s: %+v, %v", addr, r, err)
		}
	}
}
