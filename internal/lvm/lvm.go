// SPDX-License-Identifier: Apache-2.0

// Package lvm keeps thin volumes in a volume group through lvm's own tools.
//
// A volume group is made by the admin. A pool is one thin pool in it: it holds
// the blocks that were really written. A volume is a thin logical volume of that
// pool that carries our tag; what an admin keeps beside ours in the same pool is
// never listed, activated or removed. A volume has a name, by which lvm's tools and
// its device know it, and an id, which is written in a second tag. A volume without
// that tag was made when both were the same.
package lvm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/command"
)

// tag marks the logical volumes that are ours, and what begins with idTag tells the
// id. A tag may hold letters, digits and _+.-/=!:#& (lvm(8), TAGS).
const (
	tag   = "mallee"
	idTag = "mallee.id="
)

// What can be wrong with a volume or a pool. Errors of this package wrap one of
// these when lvm's own words tell which.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrInUse    = errors.New("in use")
	ErrNoRoom   = errors.New("no room")
	// ErrName is said of a name that no new volume can have.
	ErrName = errors.New("the name is not allowed")
)

// Options says which pool to use.
type Options struct {
	Group string // name of an existing volume group
	Pool  string // name of the thin pool in it, made by Ensure if missing
	Run   command.Runner
}

// Pool is a thin pool. It is safe for concurrent use, by other programs too:
// lvm locks the volume group for each command.
type Pool struct {
	group, name string
	run         command.Runner
}

// New returns the pool that o names, without looking whether it is there.
func New(o Options) (*Pool, error) {
	for _, name := range []string{o.Group, o.Pool} {
		if !ValidName(name) {
			return nil, fmt.Errorf("%q cannot name a volume group or a pool: use letters, digits, '_', '.', '+' and '-'", name)
		}
	}
	return &Pool{group: o.Group, name: o.Pool, run: o.Run}, nil
}

// Volume is one thin volume.
type Volume struct {
	// ID tells volumes apart for those who use them; Name does so for lvm.
	ID        string
	Name      string
	SizeBytes uint64
	// Active is true while the volume has a device.
	Active bool
	// Torn is true while the kernel has the device in another way than lvm's
	// records say, as a tool leaves it that was killed at work. Its commands may
	// wait for ever. Refresh mends it.
	Torn bool
}

// Contents is what a pool holds and how full it is. What is free is exact to a
// ten-thousandth of the size, which is as precisely as lvm tells it, and 0 while the
// pool is inactive: Ensure sees to it that it is not.
type Contents struct {
	SizeBytes         uint64
	FreeBytes         uint64
	MetadataSizeBytes uint64
	MetadataFreeBytes uint64
	// Health is empty while the pool is well; "out_of_data", "metadata_read_only" and
	// "failed" are lvm's words for when it is not (lvs(8), lv_health_status).
	Health  string
	Volumes []Volume // ours, sorted by name
}

// Device returns the path of the device of the volume called name, there while
// it is active.
func (p *Pool) Device(name string) string { return "/dev/" + p.group + "/" + name }

// Contents returns what the pool holds.
func (p *Pool) Contents(ctx context.Context) (Contents, error) {
	r, err := p.report(ctx)
	return r.contents, err
}

// Create makes an active volume of size bytes that reads as zeros. lvm rounds
// the size up to whole extents. Anything of that name in the volume group is
// ErrExists, a name that lvm would not take ErrName. Whether there is a volume with
// that id already is for the caller to know.
//
// The volume is flagged so that no "activate all" of the machine's start brings
// it up: only Activate does.
func (p *Pool) Create(ctx context.Context, id, name string, size uint64) error {
	if !ValidName(id) {
		return fmt.Errorf("cannot create volume %q: the id is not allowed", id)
	}
	if err := p.checkNew(name); err != nil {
		return fmt.Errorf("cannot create volume %q: %w", name, err)
	}
	// A new thin volume has no blocks, so that there is no signature to wipe, and
	// looking for one would only cost time.
	err := p.change(ctx, changeTimeout, "lvcreate", "--yes", "--type", "thin", "--thinpool", p.name,
		"--virtualsize", strconv.FormatUint(size, 10)+"b", "--name", name, "--addtag", tag, "--addtag", idTag+id,
		"--setactivationskip", "y", "--ignoreactivationskip", "--wipesignatures", "n", p.group)
	if err != nil {
		return fmt.Errorf("cannot create volume %s: %w", name, err)
	}
	return nil
}

// Resize grows a volume to size bytes, which must be more than it has; lvm rounds
// up to whole extents. Its device has the new size when Resize returns. A volume
// that is not there is ErrNotFound.
func (p *Pool) Resize(ctx context.Context, name string, size uint64) error {
	if !ValidName(name) {
		return fmt.Errorf("cannot grow volume %q: the name is not allowed", name)
	}
	// What is inside belongs to a guest: --resizefs is never asked for.
	if err := p.change(ctx, changeTimeout, "lvextend", "--yes", "--size", strconv.FormatUint(size, 10)+"b", p.group+"/"+name); err != nil {
		return fmt.Errorf("cannot grow volume %s: %w", name, err)
	}
	return nil
}

// Refresh gives the device of an active volume the form that lvm's records say, and
// lets its commands go on.
func (p *Pool) Refresh(ctx context.Context, name string) error {
	if !ValidName(name) {
		return fmt.Errorf("cannot refresh volume %q: the name is not allowed", name)
	}
	if err := p.change(ctx, changeTimeout, "lvchange", "--refresh", p.group+"/"+name); err != nil {
		return fmt.Errorf("cannot refresh volume %s: %w", name, err)
	}
	return nil
}

// Remove removes a volume and gives its blocks back. One that is not there is
// ErrNotFound, and so is one of that name that is in another pool or lacks our
// tag; one whose device is open is ErrInUse.
func (p *Pool) Remove(ctx context.Context, name string) error {
	if !ValidName(name) {
		return fmt.Errorf("cannot remove volume %q: the name is not allowed", name)
	}
	r, err := p.report(ctx)
	if err != nil {
		return fmt.Errorf("cannot remove volume %s: %w", name, err)
	}
	if !slices.ContainsFunc(r.contents.Volumes, func(v Volume) bool { return v.Name == name }) {
		return fmt.Errorf("cannot remove volume %s: %w", name, ErrNotFound)
	}
	if err := p.change(ctx, changeTimeout, "lvremove", "--yes", p.group+"/"+name); err != nil {
		return fmt.Errorf("cannot remove volume %s: %w", name, err)
	}
	return nil
}

// Activate gives volumes their devices; those that have one keep it.
func (p *Pool) Activate(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	args := []string{"--activate", "y", "--ignoreactivationskip"}
	for _, name := range names {
		if !ValidName(name) {
			return fmt.Errorf("cannot activate volume %q: the name is not allowed", name)
		}
		args = append(args, p.group+"/"+name)
	}
	if err := p.change(ctx, activateTimeout+time.Duration(len(names))*activateEach, "lvchange", args...); err != nil {
		return fmt.Errorf("cannot activate volumes of %s: %w", p.group, err)
	}
	return nil
}

// How long a tool that changes the volume group may take, before it is killed and
// may leave the kernel's and lvm's records of the pool apart. A change waits for
// those before it, of other programs too, and to remove a volume may discard each
// of its blocks. An activation records nothing, so that it is safe to kill, and is
// waited for at the start: it has a short bound and a share for each volume.
const (
	changeTimeout   = 10 * time.Minute
	activateTimeout = 10 * time.Second
	activateEach    = 500 * time.Millisecond
)

// change runs a tool that changes the volume group, to its end even if ctx ends
// before: a caller that goes away must not have it killed. Only timeout does.
func (p *Pool) change(ctx context.Context, timeout time.Duration, tool string, args ...string) error {
	run := p.run
	run.Timeout = timeout
	if _, err := run.Run(context.WithoutCancel(ctx), tool, args...); err != nil {
		return classify(err)
	}
	return nil
}

func (p *Pool) report(ctx context.Context) (report, error) {
	out, err := p.run.Run(ctx, "lvs", "--options", reportFields,
		"--units", "b", "--nosuffix", "--reportformat", "json", p.group)
	if err != nil {
		// A missing group is not ErrNotFound, which is said of volumes.
		return report{}, fmt.Errorf("cannot list volume group %s: %w", p.group, err)
	}
	r, err := parseReport(out, p.name, deviceSize)
	if err != nil {
		return report{}, fmt.Errorf("cannot list volume group %s: %w", p.group, err)
	}
	slices.SortFunc(r.contents.Volumes, func(a, b Volume) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}
