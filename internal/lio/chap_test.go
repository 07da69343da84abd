// SPDX-License-Identifier: Apache-2.0

package lio_test

import (
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lio"
)

func TestAnInitiatorProvesItselfWithTheLatestSecret(t *testing.T) {
	target, fs := prepared(t)
	must(t, target.AddBackstore(disk))
	auth := tpg + "acls/" + string(nc1) + "/auth/"
	for _, c := range []mallee.CHAP{{Username: "nc1", Password: "first-secret"}, {Username: "nc1", Password: "second-secret"}} {
		must(t, target.Authenticate(nc1, c))
		must(t, target.Map(lio.Mapping{Initiator: nc1, LUN: 1, Backstore: disk.Name}))
		wantAttributes(t, fs, map[string]string{auth + "userid": c.Username, auth + "password": c.Password})
	}
}

func TestSecretsThatTheKernelWouldChangeAreRefusedUntold(t *testing.T) {
	target, fs := prepared(t)
	for name, c := range map[string]mallee.CHAP{
		"none":                  {},
		"no password":           {Username: "nc1"},
		"no name":               {Password: "long-enough-secret"},
		"short":                 {Username: "nc1", Password: "eleven-char"},
		"long":                  {Username: "nc1", Password: strings.Repeat("secret", 43)},
		"nothing to the kernel": {Username: "nc1", Password: "NULL-and-secret"},
		"two lines":             {Username: "nc1", Password: "secret-of\ntwo lines"},
		"not ASCII":             {Username: "nc1", Password: "secret-of-Zürich"},
		"name of two words":     {Username: "nc 1", Password: "long-enough-secret"},
	} {
		err := target.Authenticate(nc1, c)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells it: %v", name, err)
		}
	}
	if _, err := fs.List(tpg + "acls/" + string(nc1)); err == nil {
		t.Error("an ACL was made")
	}
}
