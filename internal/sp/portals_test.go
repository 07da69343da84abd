// SPDX-License-Identifier: Apache-2.0

package sp_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/sp"
)

func TestPortalsOverIPv6(t *testing.T) {
	m := newMachine(t)
	o := m.options()
	o.DataPortals = []netip.AddrPort{netip.MustParseAddrPort("[2001:db8:107::200]:3260"), netip.MustParseAddrPort("[2001:db8:108::200]:3261")}
	s, err := sp.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"[2001:db8:107::200]:3260", "[2001:db8:108::200]:3261"}
	info, err := s.Info(t.Context(), &spv1.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, info.GetPortals()); diff != "" {
		t.Errorf("advertised: %s", diff)
	}
	create(t, s, vol1)
	if diff := cmp.Diff(want, export(t, s, vol1, nc1).GetPortals()); diff != "" {
		t.Errorf("of an export: %s", diff)
	}
	kernel, err := m.kernel.List("iscsi/iqn.2026-11.io.mallee:san1/tpgt_1/np")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, kernel); diff != "" {
		t.Errorf("where the kernel listens: %s", diff)
	}
}
