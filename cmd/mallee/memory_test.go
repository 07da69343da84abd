// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// memory is a cloud in memory, with one partition, PARTI00, and one node. What is
// asked of it is done delay later.
type memory struct {
	delay time.Duration

	mu         sync.Mutex
	now        func() time.Time
	fault      error // that each call fails with; nil for none
	hindrance  string
	made       int
	volumes    map[mallee.VolumeID]*mallee.Volume
	due        map[mallee.VolumeID]time.Time
	properties map[string]*mallee.Property
}

const node = mallee.InstanceID("i-0f1e2d3c")

var epoch = time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)

func newMemory() *memory {
	return &memory{
		now:     time.Now,
		volumes: map[mallee.VolumeID]*mallee.Volume{},
		due:     map[mallee.VolumeID]time.Time{},
		properties: map[string]*mallee.Property{
			"PARTI00.storage.ncpaths": {Name: "PARTI00.storage.ncpaths", Value: "nopath", Default: "nopath", Description: "iSCSI Paths for NC. Default value is 'nopath'"},
			"PARTI00.storage.sanhost": {Name: "PARTI00.storage.sanhost", Value: "10.109.1.26,10.109.1.27", Description: "Hostname for SAN device."},
			"PARTI00.storage.bare":    {Name: "PARTI00.storage.bare", Value: "x"},
		},
	}
}

// enter takes the lock and brings every volume to where it should be by now.
func (m *memory) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.fault != nil {
		defer m.mu.Unlock()
		return nil, m.fault
	}
	for id, v := range m.volumes {
		if m.now().Before(m.due[id]) {
			continue
		}
		switch {
		case v.State == mallee.VolumeCreating:
			v.State, v.WWID = mallee.VolumeAvailable, "36001405000000000000000000000000a"
		case v.State == mallee.VolumeDeleting:
			delete(m.volumes, id)
		case v.Attachment == nil:
		case v.Attachment.State == mallee.Attaching:
			v.Attachment.State, v.Attachment.HostDevice, v.Attachment.Message = mallee.Attached, "/dev/mallee/"+string(id), ""
		case v.Attachment.State == mallee.Detaching:
			v.State, v.Attachment = mallee.VolumeAvailable, nil
		}
	}
	return m.mu.Unlock, nil
}

// fail makes each further call fail with err, or none for nil.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

func (m *memory) find(id mallee.VolumeID) (*mallee.Volume, error) {
	if v := m.volumes[id]; v != nil {
		return v, nil
	}
	return nil, refused("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
}

func refused(code, format string, args ...any) error {
	return &client.APIError{Status: 400, Code: code, Message: fmt.Sprintf(format, args...), RequestID: "request-1"}
}

func (m *memory) Volumes(ctx context.Context) ([]mallee.Volume, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.Volume
	for _, id := range slices.Sorted(maps.Keys(m.volumes)) {
		list = append(list, *m.volumes[id])
	}
	return list, nil
}

func (m *memory) Volume(ctx context.Context, id mallee.VolumeID) (mallee.Volume, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.Volume{}, err
	}
	defer leave()
	v, err := m.find(id)
	if err != nil {
		return mallee.Volume{}, err
	}
	return *v, nil
}

func (m *memory) CreateVolume(ctx context.Context, spec mallee.VolumeSpec) (mallee.Volume, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.Volume{}, err
	}
	defer leave()
	if spec.Partition != "PARTI00" {
		return mallee.Volume{}, refused("InvalidZone.NotFound", "The zone '%s' does not exist.", spec.Partition)
	}
	m.made++
	v := mallee.Volume{
		ID: mallee.VolumeID(fmt.Sprintf("vol-%08x", m.made)), Partition: spec.Partition, SizeGiB: spec.SizeGiB,
		State: mallee.VolumeCreating, Created: epoch,
	}
	m.volumes[v.ID], m.due[v.ID] = &v, m.now().Add(m.delay)
	return v, nil
}

func (m *memory) DeleteVolume(ctx context.Context, id mallee.VolumeID) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	v, err := m.find(id)
	if err != nil {
		return err
	}
	if v.Attachment != nil {
		return refused("VolumeInUse", "cannot delete %s: it is attached to %s", id, v.Attachment.InstanceID)
	}
	v.State, m.due[id] = mallee.VolumeDeleting, m.now().Add(m.delay)
	return nil
}

func (m *memory) AttachVolume(ctx context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.Attachment{}, err
	}
	defer leave()
	v, err := m.find(id)
	if err != nil {
		return mallee.Attachment{}, err
	}
	if instance != node {
		return mallee.Attachment{}, refused("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist.", instance)
	}
	if v.Attachment != nil {
		return mallee.Attachment{}, refused("VolumeInUse", "cannot attach %s: it is attached to %s", id, v.Attachment.InstanceID)
	}
	v.State = mallee.VolumeInUse
	v.Attachment = &mallee.Attachment{
		VolumeID: id, InstanceID: instance, Device: device,
		State: mallee.Attaching, Generation: 1, Since: epoch, Message: m.hindrance,
	}
	m.due[id] = m.now().Add(m.delay)
	return *v.Attachment, nil
}

func (m *memory) DetachVolume(ctx context.Context, id mallee.VolumeID, _ mallee.InstanceID, _ string) (mallee.Attachment, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.Attachment{}, err
	}
	defer leave()
	v, err := m.find(id)
	if err != nil {
		return mallee.Attachment{}, err
	}
	if v.Attachment == nil {
		return mallee.Attachment{}, refused("InvalidAttachment.NotFound", "cannot detach %s: it is not attached", id)
	}
	v.Attachment.State, m.due[id] = mallee.Detaching, m.now().Add(m.delay)
	return *v.Attachment, nil
}

func (m *memory) Nodes(ctx context.Context) ([]mallee.Node, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return []mallee.Node{{InstanceID: node, Name: "nc1", Partition: "PARTI00", Initiator: "iqn.2026-01.io.mallee:nc1", Live: true, Seen: epoch}}, nil
}

// Paths tells of four expected paths to each attached volume, one of them down.
func (m *memory) Paths(ctx context.Context, ids ...mallee.VolumeID) ([]mallee.Path, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.Path
	for _, id := range slices.Sorted(maps.Keys(m.volumes)) {
		if m.volumes[id].Attachment == nil || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		list = append(
			list,
			mallee.Path{VolumeID: id, InstanceID: node, Interface: "iface0", Portal: "10.107.1.200:3260", State: mallee.PathUp, BlockDev: "sda"},
			mallee.Path{VolumeID: id, InstanceID: node, Interface: "iface0", Portal: "10.107.1.201:3260", State: mallee.PathUp, BlockDev: "sdb"},
			mallee.Path{VolumeID: id, InstanceID: node, Portal: "10.108.1.200:3260", State: mallee.PathUp, BlockDev: "sdc"},
			mallee.Path{VolumeID: id, InstanceID: node, Portal: "10.108.1.201:3260", State: mallee.PathMissing, Reason: "no route"},
		)
	}
	return list, nil
}

func (m *memory) Properties(ctx context.Context, prefixes ...string) ([]mallee.Property, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []mallee.Property
	for _, name := range slices.Sorted(maps.Keys(m.properties)) {
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			list = append(list, *m.properties[name])
		}
	}
	return list, nil
}

func (m *memory) SetProperty(ctx context.Context, name, value string) (mallee.PropertyChange, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return mallee.PropertyChange{}, err
	}
	defer leave()
	p := m.properties[name]
	if p == nil {
		return mallee.PropertyChange{}, refused("InvalidProperty.NotFound", "Failed to set property: No such property: %s", name)
	}
	if strings.Contains(value, ",,") {
		return mallee.PropertyChange{}, refused("InvalidParameterValue", "Invalid paths: element 2 of %q is empty", value)
	}
	change := mallee.PropertyChange{Name: name, Value: value, OldValue: p.Value}
	p.Value = value
	return change, nil
}

func (m *memory) ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error) {
	m.mu.Lock()
	standard := cmp.Or(m.properties[name], &mallee.Property{}).Default // the zero Property for an unknown name
	m.mu.Unlock()
	return m.SetProperty(ctx, name, standard)
}
