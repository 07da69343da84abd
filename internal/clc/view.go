// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
)

// view is all records as of one moment, by id. It is never changed.
type view struct {
	volumes     map[string]volumeRecord
	attachments map[string]attachmentRecord
	nodes       map[string]nodeRecord
	partitions  map[string]partitionRecord
	properties  map[string]propertyRecord
	tags        map[string]tagRecord
	members     map[string]memberRecord

	// instances has the name of each instance's node.
	instances map[mallee.InstanceID]string
	// byInstance has the ids of the volumes attached to an instance, in any state
	// and in order.
	byInstance map[mallee.InstanceID][]string
}

func readView(ctx context.Context, s *store.Store) (*view, error) {
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{}
	if v.volumes, err = volumes.All(snap); err != nil {
		return nil, err
	}
	if v.attachments, err = attachments.All(snap); err != nil {
		return nil, err
	}
	if v.nodes, err = nodes.All(snap); err != nil {
		return nil, err
	}
	if v.partitions, err = partitions.All(snap); err != nil {
		return nil, err
	}
	if v.properties, err = properties.All(snap); err != nil {
		return nil, err
	}
	if v.tags, err = tagSets.All(snap); err != nil {
		return nil, err
	}
	if v.members, err = members.All(snap); err != nil {
		return nil, err
	}
	v.instances = make(map[mallee.InstanceID]string, len(v.nodes))
	for name, r := range v.nodes {
		v.instances[r.InstanceID] = name
	}
	v.byInstance = map[mallee.InstanceID][]string{}
	for _, id := range slices.Sorted(maps.Keys(v.attachments)) {
		instance := v.attachments[id].InstanceID
		v.byInstance[instance] = append(v.byInstance[instance], id)
	}
	return v, nil
}

// node returns the name and the record of the node that is an instance.
func (v *view) node(id mallee.InstanceID) (name string, r nodeRecord, found bool) {
	if name, found = v.instances[id]; found {
		r = v.nodes[name]
	}
	return name, r, found
}

// holder returns the id of the volume that an instance has as a device, or "".
func (v *view) holder(instance mallee.InstanceID, device string) string {
	for _, id := range v.byInstance[instance] {
		if v.attachments[id].Device == device {
			return id
		}
	}
	return ""
}

// feed gives the latest view to the agents' streams.
type feed struct {
	mu      sync.Mutex
	latest  *view
	renewed chan struct{} // closed when latest is replaced
}

func newFeed(first *view) *feed { return &feed{latest: first, renewed: make(chan struct{})} }

func (f *feed) publish(v *view) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest = v
	close(f.renewed)
	f.renewed = make(chan struct{})
}

// current returns the latest view and a channel that is closed when there is a
// later one.
func (f *feed) current() (*view, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest, f.renewed
}
