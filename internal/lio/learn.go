// SPDX-License-Identifier: Apache-2.0

package lio

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/mallee-io/mallee"
)

// lookTimeout bounds the wait for directories that may be draining. One that is
// not answers in microseconds.
const lookTimeout = 2 * time.Second

// learn finds out what the kernel has, and clears away what a killed process
// left. What is still draining on its behalf is waited for in the background;
// the mapped LUN that it was taken from stays, without a link, as the mark of
// whose commands they are, for as many starts as it takes.
func (t *Target) learn() error {
	initiators, err := t.list(t.tpg("acls"))
	if err != nil {
		return err
	}
	for _, initiator := range initiators {
		if err := t.learnACL(mallee.IQN(initiator)); err != nil {
			return err
		}
	}
	names, err := t.list(t.tpg("lun"))
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, luns := range t.luns {
		for _, lun := range luns {
			taken[lun] = true
		}
	}
	var looks sync.WaitGroup
	for _, name := range names {
		n, ok := lunNumber(name)
		if !ok {
			continue
		}
		t.last = max(t.last, n)
		if !taken[name] {
			looks.Go(func() { t.learnLeftover(name) })
		}
	}
	go func() {
		looks.Wait()
		t.settle()
	}()
	timeout := time.NewTimer(lookTimeout)
	defer timeout.Stop()
	select {
	case <-t.settled:
	case <-timeout.C:
	}
	return nil
}

// learnACL notes the mapped LUNs of an initiator.
func (t *Target) learnACL(initiator mallee.IQN) error {
	names, err := t.list(t.tpg("acls", string(initiator)))
	if err != nil {
		return err
	}
	for _, name := range names {
		n, ok := lunNumber(name)
		if !ok {
			continue
		}
		s := seat{initiator, n}
		backstore, to, err := t.linkIn(t.mappedLUN(s))
		switch {
		case err != nil:
			return err
		case backstore == "":
			t.broken[s] = true
		default:
			t.mapped[s] = backstore
			p := pair{initiator, backstore}
			t.luns[p] = append(t.luns[p], path.Base(to))
			t.whole[p] = true
		}
	}
	return nil
}

// learnLeftover looks into a LUN of the TPG that no mapped LUN leads to, however
// long that takes. One that has its backstore is finished by the next Map or
// Unmap; one that has none is removed.
func (t *Target) learnLeftover(lun string) {
	initiator, to, err := t.linkIn(t.tpg("lun", lun))
	if err != nil {
		return // It went meanwhile, or cannot be told; it is not used.
	}
	if to == "" {
		_ = t.fs.Rmdir(t.tpg("lun", lun)) // What stays is looked at by the next start.
		return
	}
	t.addLUN(pair{mallee.IQN(initiator), path.Base(to)}, lun)
}

// settle ends learning: nothing is draining any more for a process that is gone.
//
// A mapped LUN without a link goes, unless its initiator has a LUN of the TPG
// that no mapped LUN leads to: were we killed while that one drains, nothing else
// would be left to tell whose commands they are.
func (t *Target) settle() {
	for _, s := range t.removable() {
		_ = t.fs.Rmdir(t.mappedLUN(s)) // What stays is looked at by the next start.
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.broken)
	close(t.settled)
}

func (t *Target) removable() []seat {
	t.mu.Lock()
	defer t.mu.Unlock()
	led := map[pair]bool{}
	for s, backstore := range t.mapped {
		led[pair{s.initiator, backstore}] = true
	}
	marked := map[mallee.IQN]bool{}
	for p := range t.luns {
		marked[p.initiator] = marked[p.initiator] || !led[p]
	}
	var all []seat
	for s := range t.broken {
		if !marked[s.initiator] {
			all = append(all, s)
		}
	}
	return all
}

// interrupted reports whether commands for p may be draining for a process that
// is gone. They are not if p was mapped when we started: it has had one LUN, and
// that is not the one that drains.
func (t *Target) interrupted(p pair) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.whole[p] {
		return false
	}
	for s := range t.broken {
		if s.initiator == p.initiator {
			return true
		}
	}
	return false
}

// linkIn returns name and target of the link in a directory, or nothing if there
// is none. configfs lists a link among attributes.
func (t *Target) linkIn(dir string) (name, to string, err error) {
	names, err := t.list(dir)
	if err != nil {
		return "", "", err
	}
	slices.Sort(names)
	for _, name := range names {
		to, err := t.fs.Readlink(path.Join(dir, name))
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return name, to, err
	}
	return "", "", nil
}
