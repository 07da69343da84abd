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
		if e.beginLogout(g) {
			t.Error("a logout began while a login ran")
		}
		if !e.beginLogout(other) || e.beginLogout(other) {
			t.Error("one logout of a group without logins must begin, and one alone")
		}
		e.endLogin(g)
		if !e.beginLogout(g) {
			t.Error("no logout began after the last login")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.beginLogin(ctx, g); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a login did not wait for the logout: %v", err)
		}
		time.AfterFunc(time.Minute, func() { e.endLogout(g) })
		start := time.Now()
		login(g)
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("waited %s for a logout of a minute", waited)
		}
	})
}
