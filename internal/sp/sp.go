// SPDX-License-Identifier: Apache-2.0

// Package sp is a storage processor: it turns a Linux machine with a volume group
// into a SAN, with thin volumes of lvm and exports of LIO, and serves the admin
// interface of api/sp/v1.
//
// A volume is a thin logical volume: its id is the cloud's, its name what the storage
// controller chose when it was made. An export is a backstore, named for the id, that
// is mapped to one initiator, which proves by CHAP that it is
// that one. What is exported, and each initiator's secret, is decided by the storage
// controller; the storage processor remembers it only to come back with the same
// LUNs after a reboot, before anybody can tell it.
package sp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/lio"
	"github.com/mallee-io/mallee/internal/lvm"
	"github.com/mallee-io/mallee/internal/sp/ledger"
)

// How our volumes show themselves on the SAN. Hosts tell udev, LVM and multipath
// about exactly this vendor, so it must not change.
const (
	vendorID  = "MALLEE"
	productID = "volume"
)

// Volumes is the store of volumes that a Server needs; lvm.Pool is one, and its
// methods say what these do. A missing volume is lvm.ErrNotFound, a name that is taken
// lvm.ErrExists, one that cannot be lvm.ErrName, a volume that is open lvm.ErrInUse.
type Volumes interface {
	Ensure(ctx context.Context) error
	Contents(ctx context.Context) (lvm.Contents, error)
	Create(ctx context.Context, id, name string, size uint64) error
	Resize(ctx context.Context, name string, size uint64) error
	Refresh(ctx context.Context, name string) error
	Remove(ctx context.Context, name string) error
	Activate(ctx context.Context, names ...string) error
	Device(name string) string
}

// Options says what to serve.
type Options struct {
	Name   string
	Target mallee.IQN // empty: DefaultTarget(Name)
	// VolumeGroup exists already; Pool is made in it if it is missing.
	VolumeGroup string
	Pool        string
	DataPortals []netip.AddrPort
	StateDir    string // exists already
	Log         *slog.Logger
	Registry    prometheus.Registerer

	// Overcommit is how many times the pool's size may be promised to volumes; 0
	// means 10.
	Overcommit float64
	// DataAlarm and MetadataAlarm are the percentages of the pool's room above which
	// its admin is told; 0 means 80.
	DataAlarm, MetadataAlarm int

	Volumes  Volumes // nil: the thin pool Pool of VolumeGroup
	ConfigFS lio.FS  // nil: the kernel's
}

// DefaultTarget returns the target name of the storage processor called name.
func DefaultTarget(name string) mallee.IQN { return mallee.IQN("iqn.2026-11.io.mallee:" + name) }

// Server implements the admin interface. It is safe for concurrent use: calls for
// one volume wait for each other, calls for different volumes do not.
type Server struct {
	spv1.UnimplementedStorageProcessorServer

	name    string
	iqn     mallee.IQN
	portals []string
	log     *slog.Logger
	volumes Volumes
	target  *lio.Target
	exports *exports
	turns   turns
	// authenticating guards the secrets that the kernel has.
	authenticating sync.Mutex
	pool           string // as lvm's tools name it
	told           told
	calls          *prometheus.CounterVec

	overcommit               float64
	dataAlarm, metadataAlarm int
}

// New makes the pool and the target if they are missing, brings back the exports
// that there were, and lets initiators in. What the kernel exports already is not
// disturbed. An export that cannot come back, because its volume is broken, is
// logged and does not keep the others away.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Name == "" || len(o.DataPortals) == 0 {
		return nil, errors.New("a storage processor needs a name and at least one data address")
	}
	if o.Target == "" {
		o.Target = DefaultTarget(o.Name)
	}
	if o.Volumes == nil {
		pool, err := lvm.New(lvm.Options{Group: o.VolumeGroup, Pool: o.Pool, Run: command.Runner{Log: o.Log}})
		if err != nil {
			return nil, err
		}
		o.Volumes = pool
	}
	if o.ConfigFS == nil {
		o.ConfigFS = lio.ConfigFS{Root: lio.Root, Run: command.Runner{Log: o.Log}}
	}
	target, err := lio.New(o.ConfigFS, o.Target)
	if err != nil {
		return nil, err
	}
	remembered, err := ledger.Open(ledger.Disk(filepath.Join(o.StateDir, "exports.json")))
	if err != nil {
		return nil, err
	}
	s := &Server{
		name: o.Name, iqn: o.Target, log: o.Log,
		volumes: o.Volumes, target: target, exports: &exports{Ledger: remembered, live: map[ledger.Key]bool{}},
		pool: o.VolumeGroup + "/" + o.Pool, overcommit: cmp.Or(o.Overcommit, 10),
		dataAlarm: cmp.Or(o.DataAlarm, 80), metadataAlarm: cmp.Or(o.MetadataAlarm, 80),
	}
	for _, p := range o.DataPortals {
		s.portals = append(s.portals, p.String())
	}
	if err := s.register(o.Registry); err != nil {
		return nil, err
	}
	if err := s.restore(ctx, o.DataPortals); err != nil {
		return nil, fmt.Errorf("cannot start storage processor %s: %w", o.Name, err)
	}
	return s, nil
}
