// SPDX-License-Identifier: Apache-2.0

package reach

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	ours    = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	portal4 = netip.MustParseAddr("10.107.1.201")
	portal6 = netip.MustParseAddr("fd00:107::1:a:201")
)

// arpAnswer is the reply of 52:54:00:00:00:c9, which has 10.107.1.201, as a frame
// carries it: with the rest of Ethernet's 60 bytes.
var arpAnswer = unhex("0001 0800 06 04 0002 5254000000c9 0a6b01c9 525400000001 0a6b0105" + "000000000000000000000000000000000000")

// ndAnswer is the advertisement of fd00:107::1:a:201, solicited and overriding,
// with the link-layer address as its option.
var ndAnswer = unhex("88 00 1234 60000000 fd0001070000000000000001000a0201 0201 5254000000c9")

func unhex(s string) []byte {
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		panic(err)
	}
	return b
}

func TestARPQuestion(t *testing.T) {
	want := unhex("0001 0800 06 04 0001 525400000001 0a6b0105 000000000000 0a6b01c9")
	if got := arpQuestion(ours, netip.MustParseAddr("10.107.1.5"), portal4); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	copy(want[14:], []byte{0, 0, 0, 0})
	if got := arpQuestion(ours, netip.Addr{}, portal4); !bytes.Equal(got, want) {
		t.Errorf("without an address of ours: got %x, want %x", got, want)
	}
}

func TestARPAnswers(t *testing.T) {
	if !isARPReply(arpAnswer, portal4) || !isARPReply(arpAnswer[:arpLen], portal4) {
		t.Error("the portal's reply is none")
	}
	for name, b := range map[string][]byte{
		"empty":            nil,
		"cut off":          arpAnswer[:arpLen-1],
		"a request":        changed(arpAnswer, 7, 1),
		"another's":        changed(arpAnswer, 17, 202),
		"other hardware":   changed(arpAnswer, 1, 6),
		"other protocol":   changed(arpAnswer, 2, 0x86),
		"longer addresses": changed(arpAnswer, 4, 20),
		"our own question": arpQuestion(ours, portal4, portal4),
	} {
		if isARPReply(b, portal4) {
			t.Errorf("%s: it is taken for the portal's reply", name)
		}
	}
}

func TestNDQuestion(t *testing.T) {
	want := unhex("87 00 0000 00000000 fd0001070000000000000001000a0201 0101 525400000001")
	if got := ndQuestion(ours, portal6); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if to := netip.AddrFrom16(solicitedNode(portal6)); to != netip.MustParseAddr("ff02::1:ff0a:201") {
		t.Errorf("it goes to %s", to)
	}
}

func TestNDAnswers(t *testing.T) {
	if !isAdvertisement(ndAnswer, portal6) || !isAdvertisement(ndAnswer[:ndLen], portal6) {
		t.Error("the portal's advertisement is none")
	}
	if !isAdvertisement(changed(ndAnswer, 4, ndSolicited), portal6.WithZone("eth1")) {
		t.Error("a zone of ours makes a difference")
	}
	for name, b := range map[string][]byte{
		"empty":          nil,
		"cut off":        ndAnswer[:ndLen-1],
		"a solicitation": changed(ndAnswer, 0, ndSolicitation),
		"other code":     changed(ndAnswer, 1, 1),
		"not asked for":  changed(ndAnswer, 4, 0x20),
		"another's":      changed(ndAnswer, ndLen-1, 2),
	} {
		if isAdvertisement(b, portal6) {
			t.Errorf("%s: it is taken for the portal's advertisement", name)
		}
	}
}

func TestHopLimit(t *testing.T) {
	message := func(level, kind int32, data ...byte) []byte {
		b := binary.NativeEndian.AppendUint64(nil, uint64(unix.SizeofCmsghdr+len(data)))
		b = binary.NativeEndian.AppendUint32(b, uint32(level))
		b = append(binary.NativeEndian.AppendUint32(b, uint32(kind)), data...)
		return append(b, make([]byte, 8-len(b)%8)...)
	}
	limit := binary.NativeEndian.AppendUint32(nil, 255)
	for name, c := range map[string]struct {
		control []byte
		want    int
	}{
		"told":           {message(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, limit...), 255},
		"told at last":   {append(message(unix.SOL_SOCKET, 1, limit...), message(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, limit...)...), 255},
		"not told":       {nil, 0},
		"something else": {message(unix.SOL_SOCKET, unix.IPV6_HOPLIMIT, limit...), 0},
		"cut off":        {message(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT)[:12], 0},
		"too short":      {message(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, 255), 0},
	} {
		if got := hopLimit(c.control); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// changed returns b with another byte at i.
func changed(b []byte, i int, to byte) []byte {
	b = slices.Clone(b)
	b[i] = to
	return b
}

func FuzzNeighbourAnswers(f *testing.F) {
	f.Add(arpAnswer, []byte(nil))
	f.Add(ndAnswer, unhex("1400000000000000 29000000 34000000 ff000000 00000000"))
	f.Add([]byte{}, []byte{255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, packet, control []byte) {
		if isARPReply(packet, portal4) && !bytes.Contains(packet, portal4.AsSlice()) {
			t.Errorf("%x does not tell of the portal", packet)
		}
		if isAdvertisement(packet, portal6) && !bytes.Contains(packet, portal6.AsSlice()) {
			t.Errorf("%x does not tell of the portal", packet)
		}
		hopLimit(control)
	})
}
