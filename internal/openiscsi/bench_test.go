// SPDX-License-Identifier: Apache-2.0

package openiscsi_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

// 16 sessions are those of a node to four storage processors over four paths.
func BenchmarkSessions(b *testing.B) {
	k := kernel{b, b.TempDir()}
	for i := range 16 {
		k.login(i+1, i+1, nil, map[string]string{"persistent_address": fmt.Sprintf("10.107.1.%d", i+1)})
	}
	in := &openiscsi.Initiator{Sys: k.dir}
	b.ReportAllocs()
	for b.Loop() {
		if sessions, err := in.Sessions(); err != nil || len(sessions) != 16 {
			b.Fatal(sessions, err)
		}
	}
}

func BenchmarkWriteRecords(b *testing.B) {
	var portals []openiscsi.Portal
	for i := range 4 {
		p := portal("10.107.1.200:3260")
		p.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 107, 1, byte(i)}), 3260)
		portals = append(portals, p)
	}
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "new", true: "unchanged"}[again], func(b *testing.B) {
			in := newInitiator(b)
			b.ReportAllocs()
			s := settings
			for b.Loop() {
				if !again {
					s.QueueDepth++
				}
				if err := in.WriteRecords(b.Context(), portals, s, openiscsi.Secret{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
