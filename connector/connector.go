// SPDX-License-Identifier: Apache-2.0

// Package connector brings a LUN of an iSCSI SAN up on this machine as one
// dm-multipath device over several paths, keeps its paths complete, and takes it
// down again.
//
// A Volume says what there should be: which identity (WWID), behind which LUN,
// through which portals. The portals are its ledger of expected paths: each is
// accounted for in every Status, whether it is there or not. What is kept between
// calls (proofs of identity, the last look at the machine, pauses after a failure)
// can all be found out again: after a crash the same call finds what is there and
// goes on.
//
//   - A disk becomes a path only after a live INQUIRY has shown that it has the
//     Volume's WWID, and has to show so again: every few seconds (see patrol.go), within
//     a second when the target tells of a change, and when its path has come back. Any other is
//     removed and named in the Status; one that another tool holds is left to it.
//   - The device is ready at the first verified path (MinPaths); a dead portal
//     delays nothing.
//   - A path that is no longer expected drains: it goes once others have taken its
//     place, and never as the last that is usable.
//   - Only sessions of iface records named mallee-* are touched.
//   - A device that is in use is never removed; the error names who uses it.
//
// A Connector is safe for concurrent use; calls for one WWID are serialised.
package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// Volume is what should be on this machine.
type Volume struct {
	// Name is the device's name below Options.Directory.
	Name string
	// WWID is the identity that every path must prove: "3" and the hexadecimal
	// digits of its NAA designator, as multipath writes it.
	WWID   string
	Target string // IQN
	LUN    uint16
	// Portals are the expected paths. When they change, those that are new are
	// added and proved first; then those that are gone are drained and removed one
	// by one, and never so that fewer usable paths are left than before, unless
	// fewer are expected.
	Portals []Portal
	// Expected is how many paths there should be, at most, when some of them have no
	// Portal yet, because a name is not resolved say; 0 means as many as Portals.
	Expected int
	// CHAP is for logins to Target; zero for one that asks for no proof. Another
	// one than before is used from the next login on: a session that is up stays.
	CHAP CHAP
	// SizeBytes is what the device shall have at least; 0 for what the LUN has.
	SizeBytes uint64
	// MinPaths is how many verified, usable paths Attach waits for; 0 means 1.
	MinPaths int
}

// Portal is one expected path.
type Portal struct {
	Addr netip.AddrPort
	TPGT uint16 // target portal group tag; LIO's first is 1
	// NetDevice is the network device that the session is bound to, "eth1"; empty
	// leaves the choice to routing.
	NetDevice string
}

// Options of a Connector. The zero value works on the running system.
type Options struct {
	Log *slog.Logger
	// Directory holds a symbolic link for each device; empty means /dev/mallee.
	// It must lie directly below /dev: the links are relative.
	Directory string
}

// Connector attaches, repairs and detaches volumes.
type Connector struct {
	log       *slog.Logger
	directory string

	// The machine; see seams.go.
	initiator initiator
	records   records
	disks     disks
	devices   devices
	maps      mapper
	daemon    daemon
	allowed   allowed
	uevents   func(ctx context.Context, ready func(), handle func(block.Uevent)) error

	looks    *looks
	reported knownMaps
	event    broadcast // sent at each event of the kernel
	started  broadcast // sent when a login begins

	mu      sync.Mutex
	volumes map[string]*volume          // by WWID
	logins  map[openiscsi.Portal]*login // by what they log in to
	leaving map[openiscsi.Portal]bool   // that are being logged out from
	tidying map[string]time.Time        // targets: until when tidy does not look again
	tidies  sync.WaitGroup              // that run
}

// New returns a Connector. It does nothing until Run is called.
func New(o Options) *Connector {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Directory == "" {
		o.Directory = "/dev/mallee"
	}
	iscsi := &openiscsi.Initiator{Run: command.Runner{Log: o.Log}}
	c := &Connector{
		log:       o.Log,
		directory: o.Directory,
		initiator: iscsi,
		records:   iscsi,
		disks:     &block.KnownDevices{},
		devices:   block.Devices{},
		maps:      kernelMaps{},
		daemon:    multipath.Client{},
		allowed:   &multipath.Allowed{},
		uevents:   block.Uevents,
		volumes:   map[string]*volume{},
		logins:    map[openiscsi.Portal]*login{},
		leaving:   map[openiscsi.Portal]bool{},
		tidying:   map[string]time.Time{},
	}
	c.looks = newLooks(c.takeView)
	return c
}

// Changed returns a channel that is closed when something has changed since the
// call that may matter to the volume of that WWID: time to look at its Status again.
func (c *Connector) Changed(wwid string) <-chan struct{} { return c.volume(wwid).news.Wait() }

// wakeAll wakes all who wait for news of any volume.
func (c *Connector) wakeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, state := range c.volumes {
		state.news.Send()
	}
}

// Initiator returns the iSCSI name of this machine.
func (c *Connector) Initiator() (string, error) { return c.initiator.Name() }

// retryInterval is how often a waiting call looks again although no event came:
// multipathd's verdict on a path makes no uevent.
const retryInterval = time.Second

// Attach brings v up, and returns as soon as MinPaths paths are verified and in
// use; the others are completed by later calls of Repair. It waits for as long
// as ctx allows. Called again it finds what is there.
func (c *Connector) Attach(ctx context.Context, v Volume) (Status, error) {
	if err := v.check(); err != nil {
		return Status{}, err
	}
	for {
		changed := c.Changed(v.WWID)
		status, err := c.Repair(ctx, v)
		if err == nil && status.Ready {
			return status, nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = status.incomplete()
			}
			return status, fmt.Errorf("cannot attach %s: %w", v.Name, errors.Join(err, ctx.Err()))
		case <-changed:
		case <-time.After(retryInterval):
		}
	}
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	wwidForm = regexp.MustCompile(`^3[0-9a-f]{16}([0-9a-f]{16})?$`)
)

func (v Volume) check() error {
	switch {
	case !nameForm.MatchString(v.Name):
		return fmt.Errorf("%q is no name for a device", v.Name)
	case !wwidForm.MatchString(v.WWID):
		return fmt.Errorf("%q is no WWID: it must be 3 and the digits of an NAA designator", v.WWID)
	}
	return nil
}

func (v Volume) minPaths() int { return max(v.MinPaths, 1) }

// newLink ends the name of a symbolic link that is being made.
const newLink = ".new"

// link makes the device's symbolic link point to device, "dm-0" say.
func (c *Connector) link(v Volume, device string) error {
	path, target := c.file(v), "../"+device
	if c.linked(v, device) {
		return nil
	}
	if err := os.MkdirAll(c.directory, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", path, err)
	}
	temp := path + newLink
	os.Remove(temp)
	if err := os.Symlink(target, temp); err != nil {
		return fmt.Errorf("cannot make %s: %w", path, err)
	}
	return os.Rename(temp, path)
}

// linked reports whether the device's symbolic link points to device.
func (c *Connector) linked(v Volume, device string) bool {
	have, err := os.Readlink(c.file(v))
	return err == nil && have == "../"+device
}

func (c *Connector) file(v Volume) string { return filepath.Join(c.directory, v.Name) }
