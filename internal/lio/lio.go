// SPDX-License-Identifier: Apache-2.0

// Package lio offers block devices over iSCSI with the kernel's own target, LIO,
// through configfs.
//
// A backstore is a block device that LIO has opened, with the identity that
// initiators see. A target is an IQN with one target port group (TPG), whose
// portals are the addresses it listens on. An ACL lets one initiator log in that
// proves itself with the ACL's CHAP secret; an initiator without one is turned away. A mapping shows one backstore to one
// initiator under a LUN: in configfs it is a LUN of the TPG that leads to the
// backstore, and a mapped LUN of the ACL that leads to the LUN of the TPG.
//
// Each mapping has a LUN of the TPG of its own, named for its initiator, even
// when two initiators see the same backstore. The kernel can wait for the
// commands in flight only for a whole LUN of the TPG; so one initiator can be
// fenced off, and drained, without disturbing the other.
//
// While the kernel waits, it holds the directory of that LUN locked: whoever
// looks into it sleeps until the last command has ended, and cannot be killed.
// So that one backstore that does not drain holds up no other, a Target never
// looks into directories of LUNs of the TPG while it works. It learns once, in
// Prepare, what the kernel has, from the ACLs, whose directories never wait: the
// link of a mapped LUN is named for the backstore and leads to the LUN of the
// TPG. Only a LUN of the TPG that no mapped LUN leads to, which a killed process
// left, is looked into, without waiting for it.
package lio

import (
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/mallee-io/mallee"
)

// hba is the host bus adapter, in LIO's words, that holds our backstores. Other
// tools number theirs from 0 on; this one is far off, so that they stay apart.
const hba = "core/iblock_7000"

// FS is what this package asks of a configfs. Paths are relative to its
// directory "target". Errors are those of the system calls: fs.ErrExist,
// fs.ErrNotExist, and others of the kernel's choice.
type FS interface {
	Mkdir(name string) error
	// Rmdir removes an object; its attributes go with it.
	Rmdir(name string) error
	// Symlink makes the object target known to the object that link is made in.
	Symlink(target, link string) error
	// Unlink removes a symlink. It blocks until the kernel has let go.
	Unlink(name string) error
	Write(name, value string) error
	Read(name string) (string, error)
	// List returns the names in a directory.
	List(name string) ([]string, error)
	// Readlink returns the target of a symlink.
	Readlink(name string) (string, error)
}

// Target is one iSCSI target with its TPG. Prepare comes first, once. Methods are
// idempotent: they add what the kernel lacks. They are safe for concurrent use
// for different backstores; calls for one backstore must not overlap.
//
// A method takes no context, since a system call on configfs cannot be called
// off: what blocks is the kernel.
type Target struct {
	fs  FS
	iqn mallee.IQN

	mu     sync.Mutex
	mapped map[seat]string   // the backstore of each mapped LUN
	luns   map[pair][]string // the LUNs of the TPG made for a mapping
	last   uint16            // the number of the LUN of the TPG made last
	whole  map[pair]bool     // was mapped when we started
	// broken are the mapped LUNs that a killed process left without a link, until
	// settled is closed: then all it left is known and cleared away.
	broken  map[seat]bool
	settled chan struct{}
}

// seat is a mapped LUN of an ACL.
type seat struct {
	initiator mallee.IQN
	lun       uint16
}

// pair is what a LUN of the TPG is made for.
type pair struct {
	initiator mallee.IQN
	backstore string
}

// New returns the target named iqn, without making it.
func New(fs FS, iqn mallee.IQN) (*Target, error) {
	if !iqn.Valid() {
		return nil, fmt.Errorf("target name %q is not of the form iqn.yyyy-mm.domain:name", iqn)
	}
	return &Target{
		fs: fs, iqn: iqn,
		mapped: map[seat]string{}, luns: map[pair][]string{}, whole: map[pair]bool{},
		broken: map[seat]bool{}, settled: make(chan struct{}),
	}, nil
}

func (t *Target) mappedLUN(s seat) string { return t.tpg("acls", string(s.initiator), lunName(s.lun)) }

func (t *Target) tpg(parts ...string) string {
	return path.Join("iscsi", string(t.iqn), "tpgt_1", path.Join(parts...))
}

// lunNumber parses "lun_12", as both the TPG and the ACLs name LUNs.
func lunNumber(name string) (n uint16, ok bool) {
	var rest string
	if got, _ := fmt.Sscanf(name, "lun_%d%s", &n, &rest); got != 1 {
		return 0, false
	}
	return n, name == lunName(n)
}

func lunName(n uint16) string { return fmt.Sprintf("lun_%d", n) }

// validName keeps a name from leaving its directory.
func validName(name string) bool {
	return name != "" && name[0] != '.' && !strings.ContainsAny(name, "/ \n\x00")
}
