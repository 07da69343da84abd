// SPDX-License-Identifier: Apache-2.0

package block

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unsafe"
)

const wwid = "360014056d6c6c650123456789abcdef0"

// A designator's bytes: code set, association and type, then the identifier
// (SPC-4 §7.8.6.2).
func designator(codeSet, associationAndType byte, identifier string) []byte {
	return append([]byte{codeSet, associationAndType, 0, byte(len(identifier))}, identifier...)
}

// identificationPage is VPD page 0x83 of those designators.
func identificationPage(designators ...[]byte) []byte {
	page := []byte{0, 0x83, 0, 0}
	for _, d := range designators {
		page = append(page, d...)
	}
	binary.BigEndian.PutUint16(page[2:], uint16(len(page)-4))
	return page
}

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// lioPage is what LIO answers for a LUN, with what it says of the target after
// it (drivers/target/target_core_spc.c, spc_emulate_evpd_83).
func lioPage(target string) []byte {
	padded := func(s string) string { return s + strings.Repeat("\x00", 4-len(s)%4) }
	const iscsi = 0x50 // protocol identifier, in the upper half of the code set's byte
	return identificationPage(
		designator(1, 0x03, unhex(wwid[1:])),
		designator(2, 0x01, "MALLEE  volume:0123456789abcdef0\x00"),
		designator(iscsi|1, 0x94, "\x00\x00\x00\x01"),
		designator(iscsi|1, 0x95, "\x00\x00\x00\x01"),
		designator(1, 0x06, "\x00\x00\x00\x00"),
		designator(iscsi|3, 0x98, padded(target+",t,0x0001")),
		designator(iscsi|3, 0xa8, padded(target)),
	)
}

func TestParseIdentification(t *testing.T) {
	const identity = "60014056d6c6c6501"
	for _, test := range []struct {
		name string
		page []byte
		want string
	}{
		{"of LIO", lioPage("iqn.2026-11.io.mallee:san"), wwid},
		{"of LIO with a long target name", lioPage("iqn.2026-11.io.mallee:" + strings.Repeat("s", 170)), wwid},
		{"of eight bytes", identificationPage(designator(1, 0x03, unhex("5000c500a1b2c3d4"))), "35000c500a1b2c3d4"},
		{"the port's comes first", identificationPage(
			designator(0x61, 0x93, unhex("5000c500a1b2c3d5")), designator(1, 0x03, unhex(wwid[1:]))), wwid},
		{"the target device's comes first", identificationPage(
			designator(0x61, 0xa3, unhex("5000c500a1b2c3d5")), designator(1, 0x03, unhex(wwid[1:]))), wwid},
		{"the buffer is longer than the page", append(lioPage("iqn.2026-11.io.mallee:san"), make([]byte, 100)...), wwid},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseIdentification(test.page)
			if err != nil || got != test.want {
				t.Errorf("identity %q, %v, want %q", got, err, test.want)
			}
		})
	}

	whole := lioPage("iqn.2026-11.io.mallee:san")
	for _, test := range []struct {
		name  string
		page  []byte
		cause error // nil for any
	}{
		{"nothing", nil, nil},
		{"another page", append([]byte{0, 0x80}, whole[2:]...), nil},
		{"cut short", whole[:30], nil},
		{"a designator longer than its page", []byte{0, 0x83, 0, 8, 1, 3, 0, 16, 0, 0, 0, 0}, nil},
		{"no designator", identificationPage(), ErrNoIdentity},
		{"a name alone", identificationPage(designator(2, 0x01, "MALLEE  volume")), ErrNoIdentity},
		{"the port's alone", identificationPage(designator(1, 0x93, unhex("5000c500a1b2c3d5"))), ErrNoIdentity},
		{"in text", identificationPage(designator(2, 0x03, identity)), ErrNoIdentity},
		{"too short to be one", identificationPage(designator(1, 0x03, "\x60\x01")), ErrNoIdentity},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseIdentification(test.page)
			if err == nil || test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("identity %q, error %v, want error %v", got, err, test.cause)
			}
		})
	}
}

// An identity is never made of bytes that are not in the page.
func FuzzParseIdentification(f *testing.F) {
	f.Add(lioPage("iqn.2026-11.io.mallee:san"))
	f.Add(identificationPage())
	f.Add([]byte{0, 0x83, 0xff, 0xff, 1, 3, 0, 255})
	f.Fuzz(func(t *testing.T, page []byte) {
		got, err := parseIdentification(page)
		if err != nil {
			return
		}
		identifier, ok := strings.CutPrefix(got, "3")
		if !ok || len(identifier) < 16 || !strings.Contains(string(page), unhex(identifier)) {
			t.Errorf("identity %q of page %x", got, page)
		}
	})
}

// What is given to the kernel must be laid out as it expects (include/scsi/sg.h,
// include/uapi/linux/blkpg.h).
func TestKernelStructures(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are of 64-bit machines")
	}
	for _, test := range []struct {
		name      string
		got, want uintptr
	}{
		{"struct sg_io_hdr", unsafe.Sizeof(sgHeader{}), 88},
		{"sg_io_hdr.dxferp", unsafe.Offsetof(sgHeader{}.data), 16},
		{"sg_io_hdr.timeout", unsafe.Offsetof(sgHeader{}.timeout), 40},
		{"sg_io_hdr.usr_ptr", unsafe.Offsetof(sgHeader{}.user), 56},
		{"sg_io_hdr.status", unsafe.Offsetof(sgHeader{}.status), 64},
		{"sg_io_hdr.resid", unsafe.Offsetof(sgHeader{}.residual), 72},
		{"struct blkpg_partition", unsafe.Sizeof(blkpgPartition{}), 152},
		{"struct blkpg_ioctl_arg", unsafe.Sizeof(blkpgArg{}), 24},
		{"blkpg_ioctl_arg.data", unsafe.Offsetof(blkpgArg{}.data), 16},
	} {
		if test.got != test.want {
			t.Errorf("%s: %d, want %d", test.name, test.got, test.want)
		}
	}
}

func TestParseSerial(t *testing.T) {
	for _, test := range []struct{ name, page, want string }{
		{"as LIO sends it", "\x00\x80\x00\x216d6c6c65fffffffff000000010000000\x00", "6d6c6c65fffffffff000000010000000"},
		{"filled up with blanks", "\x00\x80\x00\x06  ab  ", "ab"},
		{"none", "\x00\x80\x00\x00", ""},
		{"another page", "\x00\x83\x00\x01a", ""},
		{"cut short", "\x00\x80\x00\x08ab", "ab"},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parseSerial([]byte(test.page)); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func FuzzParseSerial(f *testing.F) {
	f.Add([]byte("\x00\x80\x00\x02ab"))
	f.Add([]byte("\x00\x80\xff\xff"))
	f.Fuzz(func(t *testing.T, page []byte) {
		if got := parseSerial(page); len(got) > len(page) {
			t.Errorf("%q is longer than its page", got)
		}
	})
}
