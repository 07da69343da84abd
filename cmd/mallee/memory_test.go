// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"iter"
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
	history    []mallee.PropertyEvent // the newest last
	draining   bool                   // whether each attachment has a path that is no longer wanted
	strange    bool                   // whether another identity answers at one path of each attachment
	pool       mallee.Pool
	nodeTags   map[string]string
	growths    map[mallee.VolumeID]*mallee.Modification
	pageSizes  []int // that were asked for
}

// inMemory returns the cloud that the tool sees.
func inMemory(m *memory) cloud {
	return cloud{volumes: m, growth: m, tags: m, fleet: m, properties: m, backups: m}
}

const node = mallee.InstanceID("i-0f1e2d3c")

var epoch = time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)

func newMemory() *memory {
	return &memory{
		now:     time.Now,
		volumes: map[mallee.VolumeID]*mallee.Volume{},
		due:     map[mallee.VolumeID]time.Time{},
		growths: map[mallee.VolumeID]*mallee.Modification{},
		pool:    mallee.Pool{SizeBytes: 100 << 30, FreeBytes: 25 << 30, PromiseLimitBytes: 200 << 30, MetadataSizeBytes: 100 << 20, MetadataFreeBytes: 99 << 20},
		properties: map[string]*mallee.Property{
			"PARTI00.storage.ncpaths": {Name: "PARTI00.storage.ncpaths", Value: "nopath", Default: "nopath", Description: "iSCSI Paths for NC. Default value is 'nopath'"},
			"PARTI00.storage.scpaths": {Name: "PARTI00.storage.scpaths", Value: "nopath", Default: "nopath", Description: "iSCSI Paths for SC. Default value is 'nopath'"},
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
		m.grow(v)
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

func (m *memory) EachVolume(ctx context.Context, q client.VolumeQuery) iter.Seq2[mallee.Volume, error] {
	return func(yield func(mallee.Volume, error) bool) {
		leave, err := m.enter(ctx)
		if err != nil {
			yield(mallee.Volume{}, err)
			return
		}
		var list []mallee.Volume
		for _, id := range slices.Sorted(maps.Keys(m.volumes)) {
			list = append(list, *m.volumes[id])
		}
		leave()
		m.pageSizes = append(m.pageSizes, q.PageSize)
		for _, f := range q.Filters {
			if !slices.Contains([]string{"volume-id", "status", "attachment.instance-id"}, f.Name) && !strings.HasPrefix(f.Name, "tag") {
				yield(mallee.Volume{}, refused("InvalidParameterValue", "The filter '%s' is invalid", f.Name))
				return
			}
		}
		for _, v := range list {
			if !slices.ContainsFunc(q.Filters, func(f client.Filter) bool { return !passes(v, f) }) && !yield(v, nil) {
				return
			}
		}
	}
}

func passes(v mallee.Volume, f client.Filter) bool {
	return slices.ContainsFunc(f.Values, func(want string) bool {
		key, isTag := strings.CutPrefix(f.Name, "tag:")
		value, has := v.Tags[key]
		switch {
		case isTag:
			return has && value == want
		case f.Name == "tag-key":
			_, has := v.Tags[want]
			return has
		case f.Name == "status":
			return string(v.State) == want
		case f.Name == "volume-id":
			return strings.HasPrefix(string(v.ID), strings.TrimSuffix(want, "*"))
		}
		return v.Attachment != nil && string(v.Attachment.InstanceID) == want
	})
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
		State: mallee.VolumeCreating, Created: epoch, Tags: spec.Tags,
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
