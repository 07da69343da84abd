// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/mallee-io/mallee"
)

// Mapping is one backstore shown to one initiator.
type Mapping struct {
	Initiator mallee.IQN
	LUN       uint16
	Backstore string
}

// maxTPGLUN is the highest LUN of a TPG that the kernel can tell an initiator
// about as a relative target port (16 bits, SPC-4 §7.8.6.8).
const maxTPGLUN = 65535

// mappedLink is the name of the link from a mapped LUN to its LUN of the TPG.
const mappedLink = "mallee"

// Map shows a backstore to an initiator as lun, and makes the ACL that lets the
// initiator in. The same mapping again is no error; another one that has the
// LUN is.
func (t *Target) Map(m Mapping) error {
	if !m.Initiator.Valid() || !validName(m.Backstore) {
		return fmt.Errorf("cannot map %q to %q: a name is not allowed", m.Backstore, m.Initiator)
	}
	acl := t.tpg("acls", string(m.Initiator))
	mapped := path.Join(acl, lunName(m.LUN))
	for _, dir := range []string{acl, mapped} {
		if err := t.mkdir(dir); err != nil {
			return fmt.Errorf("cannot map %s to %s: %w", m.Backstore, m.Initiator, err)
		}
	}
	have, err := t.backstoreOf(mapped)
	if err != nil {
		return fmt.Errorf("cannot map %s to %s: %w", m.Backstore, m.Initiator, err)
	}
	switch have {
	case m.Backstore:
		return nil
	case "":
	default:
		return fmt.Errorf("cannot map %s to %s: LUN %d is %s", m.Backstore, m.Initiator, m.LUN, have)
	}
	lun, err := t.tpgLUN(m)
	if err != nil {
		return fmt.Errorf("cannot map %s to %s: %w", m.Backstore, m.Initiator, err)
	}
	if err := t.fs.Symlink(t.tpg("lun", lun), path.Join(mapped, mappedLink)); err != nil {
		return fmt.Errorf("cannot map %s to %s: %w", m.Backstore, m.Initiator, err)
	}
	return nil
}

// tpgLUN returns the name of the LUN of the TPG for m: one that an earlier,
// broken off Map left, or a new one.
func (t *Target) tpgLUN(m Mapping) (string, error) {
	luns, err := t.tpgLUNs(m.Initiator, m.Backstore)
	if err != nil {
		return "", err
	}
	if len(luns) > 0 {
		return luns[0], nil
	}
	for n := uint16(1); n < maxTPGLUN; n++ {
		// mkdir decides between two calls that want the same number.
		err := t.fs.Mkdir(t.tpg("lun", lunName(n)))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		link := t.tpg("lun", lunName(n), string(m.Initiator))
		return lunName(n), t.fs.Symlink(path.Join(hba, m.Backstore), link)
	}
	return "", errors.New("the target has no LUN left")
}

// Unmap takes a backstore from an initiator. When it returns, every command of
// that initiator that had reached the backstore has ended, and no other will
// come. It blocks for as long as that takes. No such mapping is no error.
//
// The ACL stays, also without any mapped LUN: to remove it would end the
// initiator's sessions, over which the next mapping is about to come, and all
// that it lets its initiator do is log in and see nothing.
func (t *Target) Unmap(initiator mallee.IQN, backstore string) error {
	if !initiator.Valid() || !validName(backstore) {
		return fmt.Errorf("cannot unmap %q from %q: a name is not allowed", backstore, initiator)
	}
	fail := func(err error) error { return fmt.Errorf("cannot unmap %s from %s: %w", backstore, initiator, err) }
	acl := t.tpg("acls", string(initiator))
	names, err := t.list(acl)
	if err != nil {
		return fail(err)
	}
	// First the mapped LUN, so that no new command gets in. That returns at once,
	// even with a write in flight, which then still reaches the disk.
	for _, name := range names {
		if _, ok := lunNumber(name); !ok {
			continue
		}
		mapped := path.Join(acl, name)
		have, err := t.backstoreOf(mapped)
		if err != nil {
			return fail(err)
		}
		if have != backstore {
			continue
		}
		if err := t.fs.Unlink(path.Join(mapped, mappedLink)); err != nil {
			return fail(err)
		}
		if err := t.fs.Rmdir(mapped); err != nil {
			return fail(err)
		}
	}
	// Then the LUN of the TPG: unlinking it is what waits for the commands in flight.
	luns, err := t.tpgLUNs(initiator, backstore)
	if err != nil {
		return fail(err)
	}
	for _, lun := range luns {
		if err := t.fs.Unlink(t.tpg("lun", lun, string(initiator))); err != nil {
			return fail(err)
		}
		if err := t.fs.Rmdir(t.tpg("lun", lun)); err != nil {
			return fail(err)
		}
	}
	return nil
}

// Mappings returns what the kernel shows to whom, in no particular order.
func (t *Target) Mappings() ([]Mapping, error) {
	var all []Mapping
	initiators, err := t.list(t.tpg("acls"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the mappings of target %s: %w", t.iqn, err)
	}
	for _, initiator := range initiators {
		names, err := t.list(t.tpg("acls", initiator))
		if err != nil {
			return nil, fmt.Errorf("cannot list the mappings of %s: %w", initiator, err)
		}
		for _, name := range names {
			lun, ok := lunNumber(name)
			if !ok {
				continue
			}
			backstore, err := t.backstoreOf(t.tpg("acls", initiator, name))
			if err != nil {
				return nil, fmt.Errorf("cannot list the mappings of %s: %w", initiator, err)
			}
			if backstore != "" {
				all = append(all, Mapping{Initiator: mallee.IQN(initiator), LUN: lun, Backstore: backstore})
			}
		}
	}
	return all, nil
}

// tpgLUNs returns the names of the LUNs of the TPG that lead to the backstore on
// behalf of the initiator; more than one only if somebody else made them.
func (t *Target) tpgLUNs(initiator mallee.IQN, backstore string) ([]string, error) {
	names, err := t.list(t.tpg("lun"))
	if err != nil {
		return nil, err
	}
	var luns []string
	for _, name := range names {
		to, err := t.fs.Readlink(t.tpg("lun", name, string(initiator)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if path.Base(to) == backstore {
			luns = append(luns, name)
		}
	}
	return luns, nil
}

// backstoreOf returns the backstore that a mapped LUN leads to, or "" if its
// link, or that of its LUN of the TPG, is not made yet.
func (t *Target) backstoreOf(mapped string) (string, error) {
	lun, err := t.fs.Readlink(path.Join(mapped, mappedLink))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	initiator := path.Base(path.Dir(mapped))
	backstore, err := t.fs.Readlink(t.tpg("lun", path.Base(lun), initiator))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return path.Base(backstore), err
}
