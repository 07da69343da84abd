// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
)

// tpgAttributes are what the TPG is held to, in the order of writing.
var tpgAttributes = []struct{ name, value string }{
	// Only initiators with an ACL log in, and only they are told in discovery
	// that the target exists.
	{"attrib/generate_node_acls", "0"},
	{"attrib/cache_dynamic_acls", "0"},
	{"attrib/demo_mode_discovery", "0"},
	// Each proves by CHAP that it is who it says, also one whose ACL has no secret
	// yet: it is turned away.
	{"attrib/authentication", "1"},
	// How many commands a session may have outstanding; an ACL takes it over when
	// it is made. With the kernel's 64, two hung LUNs stall all other LUNs of
	// their session. 512 is the kernel's maximum. To change it later, the kernel
	// would end the initiator's sessions.
	{"attrib/default_cmdsn_depth", "512"},
}

// Prepare makes the target, its TPG and its portals, and does not let anybody in
// yet; and it learns what the kernel maps already. A portal's address need not be on this machine at the time: the kernel
// listens on it all the same. A portal's directory is called "10.107.1.200:3260" or
// "[2001:db8::1]:3260" (drivers/target/iscsi/iscsi_target_configfs.c,
// lio_target_call_addnptotpg). Portals of the target that are not in portals are
// left, since sessions may use them.
func (t *Target) Prepare(portals []netip.AddrPort) error {
	for _, dir := range []string{"iscsi", path.Dir(t.tpg()), t.tpg()} {
		if err := t.mkdir(dir); err != nil {
			return fmt.Errorf("cannot make target %s: %w", t.iqn, err)
		}
	}
	for _, a := range tpgAttributes {
		if err := t.set(t.tpg(a.name), a.value); err != nil {
			return fmt.Errorf("cannot set up target %s: %w", t.iqn, err)
		}
	}
	for _, p := range portals {
		if err := t.mkdir(t.tpg("np", p.String())); err != nil {
			return fmt.Errorf("cannot add portal %s to target %s: %w", p, t.iqn, err)
		}
	}
	if err := t.learn(); err != nil {
		return fmt.Errorf("cannot list the mappings of target %s: %w", t.iqn, err)
	}
	return nil
}

// Enable lets initiators in. It comes last: an initiator that logs in before its
// LUNs are mapped takes them for gone.
func (t *Target) Enable() error {
	if err := t.set(t.tpg("enable"), "1"); err != nil {
		return fmt.Errorf("cannot enable target %s: %w", t.iqn, err)
	}
	return nil
}

// set writes an attribute unless it has the value already: writing some of them
// again is refused, or disturbs sessions.
func (t *Target) set(name, value string) error {
	have, err := t.fs.Read(name)
	if err != nil {
		return err
	}
	if have == value {
		return nil
	}
	return t.fs.Write(name, value)
}

// list returns the names in a directory, none if it is not there.
func (t *Target) list(dir string) ([]string, error) {
	names, err := t.fs.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}
