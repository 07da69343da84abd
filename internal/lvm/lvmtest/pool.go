// SPDX-License-Identifier: Apache-2.0

// Package lvmtest is a thin pool in memory, which keeps the rules of lvm.Pool.
// A reboot takes the devices away and keeps the volumes.
package lvmtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mallee-io/mallee/internal/lvm"
)

const metadataSize = 64 << 20

// Pool is a thin pool in memory. It is safe for concurrent use.
type Pool struct {
	size uint64
	// Open tells whether the device of a volume is held open; a volume whose
	// device is open cannot be removed. Nil means that none is.
	Open func(device string) bool

	// Broken tells whether a volume cannot be activated; nil means that each can.
	Broken func(name string) bool

	// Used returns which shares of the room for data and for metadata are used; nil
	// means none.
	Used func() (data, metadata float64)

	// Health returns lvm's word for how the pool is; nil means that it is well.
	Health func() string

	mu      sync.Mutex
	runs    int
	volumes map[string]lvm.Volume // by name
	foreign map[string]bool       // names of logical volumes that are not ours
}

// NewPool returns an empty pool of size bytes.
func NewPool(size uint64) *Pool {
	return &Pool{size: size, volumes: map[string]lvm.Volume{}, foreign: map[string]bool{}}
}

// Reboot makes every volume inactive.
func (p *Pool) Reboot() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, v := range p.volumes {
		v.Active = false
		p.volumes[name] = v
	}
}

// Active reports whether device is that of an active volume.
func (p *Pool) Active(device string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volumes[strings.TrimPrefix(device, p.Device(""))].Active
}

// Ensure does nothing: the pool is there.
func (p *Pool) Ensure(context.Context) error { return nil }

// Contents returns the volumes, and Used.
func (p *Pool) Contents(context.Context) (lvm.Contents, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	volumes := slices.SortedFunc(maps.Values(p.volumes), func(a, b lvm.Volume) int {
		return strings.Compare(a.Name, b.Name)
	})
	c := lvm.Contents{
		SizeBytes: p.size, FreeBytes: p.size, MetadataSizeBytes: metadataSize, MetadataFreeBytes: metadataSize, Volumes: volumes,
	}
	if p.Health != nil {
		c.Health = p.Health()
	}
	if p.Used != nil {
		data, metadata := p.Used()
		c.FreeBytes -= uint64(data * float64(p.size))
		c.MetadataFreeBytes -= uint64(metadata * metadataSize)
	}
	return c, nil
}

// Create makes an active volume.
func (p *Pool) Create(_ context.Context, id, name string, size uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !lvm.ValidName(name) {
		return fmt.Errorf("cannot create volume %q: %w", name, lvm.ErrName)
	}
	if _, there := p.volumes[name]; there || p.foreign[name] {
		return fmt.Errorf("cannot create volume %s: %w", name, lvm.ErrExists)
	}
	p.volumes[name] = lvm.Volume{ID: id, Name: name, SizeBytes: size, Active: true}
	return nil
}

// CreateForeign makes a logical volume that is not ours.
func (p *Pool) CreateForeign(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.foreign[name] = true
}

// Resize grows a volume.
func (p *Pool) Resize(_ context.Context, name string, size uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, there := p.volumes[name]
	if !there {
		return fmt.Errorf("cannot grow volume %s: %w", name, lvm.ErrNotFound)
	}
	v.SizeBytes = size
	p.volumes[name] = v
	return nil
}

// Tear makes a volume's device as a tool leaves it that is killed at work.
func (p *Pool) Tear(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.volumes[name]
	v.Torn = true
	p.volumes[name] = v
}

// Refresh mends what Tear did.
func (p *Pool) Refresh(_ context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, there := p.volumes[name]
	if !there {
		return fmt.Errorf("cannot refresh volume %s: %w", name, lvm.ErrNotFound)
	}
	v.Torn = false
	p.volumes[name] = v
	return nil
}

// Remove removes a volume whose device is not open.
func (p *Pool) Remove(_ context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, there := p.volumes[name]; !there {
		return fmt.Errorf("cannot remove volume %s: %w", name, lvm.ErrNotFound)
	}
	if p.Open != nil && p.Open(p.Device(name)) {
		return fmt.Errorf("cannot remove volume %s: %w", name, lvm.ErrInUse)
	}
	delete(p.volumes, name)
	return nil
}

// Activate gives volumes their devices; like lvm it goes on after one that it
// cannot activate.
func (p *Pool) Activate(_ context.Context, names ...string) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs++
	for _, name := range names {
		v, there := p.volumes[name]
		switch {
		case !there:
			err = fmt.Errorf("cannot activate volumes: %w", lvm.ErrNotFound)
		case p.Broken != nil && p.Broken(name):
			err = fmt.Errorf("cannot activate volumes: %s is broken", name)
		default:
			v.Active = true
			p.volumes[name] = v
		}
	}
	return err
}

// Activations returns how often Activate was called.
func (p *Pool) Activations() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs
}

// Device returns the path that the volume's device would have.
func (p *Pool) Device(name string) string { return "/dev/pool/" + name }
