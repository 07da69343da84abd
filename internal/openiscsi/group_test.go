// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A session that comes up while all of its group are logged out from would be
// logged out from too.
func TestLoginsAndALogoutFromAllKeepApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e exchanges
		g, other := group{"iqn.2026-11.io.mallee:san", "mallee-default"}, group{"iqn.2026-11.io.mallee:san", "mallee-net-eth1"}
		login := func(g group) {
			t.Helper()
			if err := e.beginLogin(t.Context(), g); err != nil {
				t.Fatal(err)
			}
		}
		login(g)
		login(g)
		e.endLogin(g)
		if _, _, ok := e.beginLogout(t.Context(), g); ok {
			t.Error("a logout began while a login ran")
		}
		if _, _, ok := e.beginLogout(t.Context(), other); !ok {
			t.Error("no logout began from a group without logins")
		}
		if _, _, ok := e.beginLogout(t.Context(), other); ok {
			t.Error("two logouts from one group run")
		}
		e.endLogin(g)

		logout, end, ok := e.beginLogout(t.Context(), g)
		if !ok {
			t.Fatal("no logout began after the last login")
		}
		ctx, cancel := context.WithTimeout(t.Context(), logoutPatience/2)
		defer cancel()
		if err := e.beginLogin(ctx, g); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a login did not wait for the logout: %v", err)
		}
		if logout.Err() != nil {
			t.Error("a login that gave up ended the logout")
		}
		context.AfterFunc(logout, func() {
			time.Sleep(time.Millisecond) // until the process has ended
			end()
		})
		start := time.Now()
		login(g)
		if waited, want := time.Since(start), logoutPatience+time.Millisecond; waited != want {
			t.Errorf("waited %s for a logout that does not end, want %s", waited, want)
		}
	})
}
