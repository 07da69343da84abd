// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

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

// Map shows a backstore to an initiator as lun, and makes the ACL that lets the
// initiator in. The same mapping again is no error; another one that has the
// LUN is, also while its last commands are draining. A backstore keeps its LUN of
// an initiator until Unmap has returned without an error.
func (t *Target) Map(m Mapping) error {
	if !m.Initiator.Valid() || !validName(m.Backstore) {
		return fmt.Errorf("cannot map %q to %q: a name is not allowed", m.Backstore, m.Initiator)
	}
	fail := func(err error) error {
		return fmt.Errorf("cannot map %s to %s as LUN %d: %w", m.Backstore, m.Initiator, m.LUN, err)
	}
	s := seat{m.Initiator, m.LUN}
	if err := t.free(s, m.Backstore); err != nil {
		return fail(err)
	}
	mapped := t.mappedLUN(s)
	for _, dir := range []string{path.Dir(mapped), mapped} {
		if err := t.mkdir(dir); err != nil {
			return fail(err)
		}
	}
	if err := t.link(mapped, pair{m.Initiator, m.Backstore}); err != nil {
		_ = t.fs.Rmdir(mapped) // Refused unless it is empty.
		return fail(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mapped[s] = m.Backstore
	return nil
}

// link makes a mapped LUN lead to a LUN of the TPG for p, if it does not already.
func (t *Target) link(mapped string, p pair) error {
	link := path.Join(mapped, p.backstore)
	if _, err := t.fs.Readlink(link); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lun, err := t.tpgLUN(p)
	if err != nil {
		return err
	}
	return t.fs.Symlink(t.tpg("lun", lun), link)
}

// free returns an error unless a mapped LUN is free, or the backstore's.
func (t *Target) free(s seat, backstore string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken[s] {
		return errors.New("commands for what it was before are still in flight")
	}
	if have := t.mapped[s]; have != "" && have != backstore {
		return fmt.Errorf("it is %s", have)
	}
	return nil
}

// tpgLUN returns the name of the LUN of the TPG for p: one that an earlier,
// broken off Map left, or a new one.
func (t *Target) tpgLUN(p pair) (string, error) {
	if lun := t.lunOf(p); lun != "" {
		return lun, nil
	}
	// Numbers are taken round and round, so that the search is short and a number
	// that is draining is not met soon. mkdir tells one that is there all the same,
	// without looking into it.
	for range maxTPGLUN - 1 {
		lun := t.nextLUN()
		err := t.fs.Mkdir(t.tpg("lun", lun))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if err := t.fs.Symlink(path.Join(hba, p.backstore), t.tpg("lun", lun, string(p.initiator))); err != nil {
			// Each further try would leave another one.
			return "", errors.Join(err, t.fs.Rmdir(t.tpg("lun", lun)))
		}
		t.addLUN(p, lun)
		return lun, nil
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
	// First the mapped LUN, so that no new command gets in. That returns at once,
	// even with a write in flight, which then still reaches the disk.
	p := pair{initiator, backstore}
	seats := t.seats(p)
	for _, s := range seats {
		if err := gone(t.fs.Unlink(path.Join(t.mappedLUN(s), backstore))); err != nil {
			return fail(err)
		}
	}
	// Then the LUN of the TPG: unlinking it is what waits for the commands in flight.
	for lun := t.lunOf(p); lun != ""; lun = t.lunOf(p) {
		if err := gone(t.fs.Unlink(t.tpg("lun", lun, string(initiator)))); err != nil {
			return fail(err)
		}
		if err := gone(t.fs.Rmdir(t.tpg("lun", lun))); err != nil {
			return fail(err)
		}
		t.forgetLUN(p, lun)
	}
	if t.interrupted(p) {
		<-t.settled
		// What was found draining may have been this one.
		if t.lunOf(p) != "" {
			return t.Unmap(initiator, backstore)
		}
	}
	// The mapped LUN comes last: were we killed while it drains, the next start
	// would know by it whose commands are in flight.
	for _, s := range seats {
		if err := gone(t.fs.Rmdir(t.mappedLUN(s))); err != nil {
			return fail(err)
		}
		t.mu.Lock()
		delete(t.mapped, s)
		t.mu.Unlock()
	}
	return nil
}

// seats returns the mapped LUNs that lead to the backstore of p; more than one
// only if somebody else made them.
func (t *Target) seats(p pair) []seat {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []seat
	for s, backstore := range t.mapped {
		if p == (pair{s.initiator, backstore}) {
			all = append(all, s)
		}
	}
	return all
}

// lunOf returns a LUN of the TPG that was made for p, or "".
func (t *Target) lunOf(p pair) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if luns := t.luns[p]; len(luns) > 0 {
		return luns[0]
	}
	return ""
}

func (t *Target) nextLUN() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = t.last%(maxTPGLUN-1) + 1
	return lunName(t.last)
}

func (t *Target) addLUN(p pair, lun string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.luns[p] = append(t.luns[p], lun)
}

func (t *Target) forgetLUN(p pair, lun string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.luns[p] = slices.DeleteFunc(t.luns[p], func(l string) bool { return l == lun })
	if len(t.luns[p]) == 0 {
		delete(t.luns, p)
	}
}

// gone makes a success of the removal of what is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Mappings returns what is shown to whom, with what is being taken away, in no
// particular order.
func (t *Target) Mappings() []Mapping {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Mapping, 0, len(t.mapped))
	for s, backstore := range t.mapped {
		all = append(all, Mapping{Initiator: s.initiator, LUN: s.lun, Backstore: backstore})
	}
	return all
}
