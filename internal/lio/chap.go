// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mallee-io/mallee"
)

const (
	// maxCHAP is the longest name or password that the kernel keeps whole
	// (MAX_USER_LEN and MAX_PASS_LEN of include/target/iscsi/iscsi_target_core.h,
	// with the byte that ends them).
	maxCHAP = 255
	// minPassword is the shortest secret that may go over a network without IPsec,
	// 96 bits (RFC 7143 §9.2.1).
	minPassword = 12
)

// CheckCHAP returns an error unless the kernel and open-iscsi take c as it is. The
// error names the rule and never the password.
func CheckCHAP(c mallee.CHAP) error {
	if c == (mallee.CHAP{}) {
		return errors.New("no CHAP user name and password are given")
	}
	if !plain(c.Username) || !plain(c.Password) || len(c.Password) < minPassword {
		return fmt.Errorf("CHAP wants a user name and a password of at least %d characters: at most %d of printable ASCII without blanks, neither beginning with NULL", minPassword, maxCHAP)
	}
	return nil
}

// plain reports whether s reaches the other end unchanged. The kernel takes a value
// that begins with NULL for none at all (iscsi_target_configfs.c, DEF_NODE_AUTH_STR),
// and cuts at a newline.
func plain(s string) bool {
	if s == "" || len(s) > maxCHAP || strings.HasPrefix(s, "NULL") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Authenticate makes the ACL of an initiator, and sets what it must prove itself
// with when it logs in. Sessions that it has go on; the next login needs c. An ACL
// that was given nothing lets nobody in.
//
// The two attributes are written one after the other: a login between them is
// refused, and is tried again by the initiator. Calls for one initiator must not
// overlap.
func (t *Target) Authenticate(initiator mallee.IQN, c mallee.CHAP) error {
	if !initiator.Valid() {
		return fmt.Errorf("cannot set CHAP for %q: the name is not allowed", initiator)
	}
	fail := func(err error) error { return fmt.Errorf("cannot set CHAP for %s: %w", initiator, err) }
	if err := CheckCHAP(c); err != nil {
		return fail(err)
	}
	acl := t.tpg("acls", string(initiator))
	if err := t.mkdir(acl); err != nil {
		return fail(err)
	}
	for _, a := range []struct{ name, value string }{{"userid", c.Username}, {"password", c.Password}} {
		if err := t.set(acl+"/auth/"+a.name, a.value); err != nil {
			return fail(err)
		}
	}
	return nil
}
