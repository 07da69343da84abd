// SPDX-License-Identifier: Apache-2.0

package ec2api_test

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
)

const (
	node1     mallee.InstanceID = "i-00000001"
	node2     mallee.InstanceID = "i-00000002"
	asleep    mallee.InstanceID = "i-00000003"
	elsewhere mallee.InstanceID = "i-00000004" // in another partition
)

// created is when all things of a memCloud were.
var created = time.Date(2026, 11, 22, 12, 0, 0, 123e6, time.UTC)

// memCloud is a small cloud in memory: one partition, PARTI00, of 100 GiB, and
// three nodes, one of them away. Attaching and detaching take no time.
type memCloud struct {
	mu      sync.Mutex
	volumes map[mallee.VolumeID]mallee.Volume
	tokens  map[string]mallee.VolumeID
	tags    map[mallee.InstanceID]map[string]string
	paths   []mallee.Path // what Paths tells; made up when nil
	broken  error         // what every call returns, unless nil
}

func newMemCloud() *memCloud {
	return &memCloud{volumes: map[mallee.VolumeID]mallee.Volume{}, tokens: map[string]mallee.VolumeID{}, tags: map[mallee.InstanceID]map[string]string{}}
}

func failed(op string, kind mallee.Kind, id string, format string, args ...any) error {
	return &mallee.Error{Op: op, Kind: kind, ID: id, Err: fmt.Errorf(format, args...)}
}

func (c *memCloud) CreateVolume(_ context.Context, spec mallee.VolumeSpec) (mallee.Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return mallee.Volume{}, c.broken
	}
	if v, ok := c.volumes[c.tokens[spec.ClientToken]]; ok {
		if v.SizeGiB != spec.SizeGiB || !maps.Equal(v.Tags, spec.Tags) {
			return mallee.Volume{}, failed("create volume", mallee.Mismatch, spec.ClientToken, "the token was used for a volume of %d GiB", v.SizeGiB)
		}
		return v, nil
	}
	if spec.Partition != "PARTI00" {
		return mallee.Volume{}, failed("create volume", mallee.NotFound, spec.Partition, "no such partition")
	}
	if spec.SizeGiB > 100 {
		return mallee.Volume{}, failed("create volume", mallee.Exhausted, spec.Partition, "the pool has 100 GiB left, not %d", spec.SizeGiB)
	}
	v := mallee.Volume{
		ID: mallee.VolumeID(fmt.Sprintf("vol-%08x", len(c.volumes)+1)), Partition: spec.Partition, SizeGiB: spec.SizeGiB, Type: cmp.Or(spec.Type, "standard"), Tags: spec.Tags,
		State: mallee.VolumeAvailable, WWID: "3600140512345678123456781234567812", Created: created, Message: "a <remark> & more",
	}
	c.volumes[v.ID] = v
	if spec.ClientToken != "" {
		c.tokens[spec.ClientToken] = v.ID
	}
	return v, nil
}

func (c *memCloud) Volumes(context.Context) ([]mallee.Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.volumes), func(a, b mallee.Volume) int {
		return strings.Compare(string(a.ID), string(b.ID))
	}), c.broken
}

func (c *memCloud) DeleteVolume(_ context.Context, id mallee.VolumeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[id]
	if !ok {
		return failed("delete", mallee.NotFound, string(id), "no such volume")
	}
	if v.Attachment != nil {
		return failed("delete", mallee.InUse, string(id), "it is attached to %s", v.Attachment.InstanceID)
	}
	delete(c.volumes, id)
	return nil
}

func (c *memCloud) GrowVolume(_ context.Context, id mallee.VolumeID, sizeGiB int) (mallee.Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[id]
	switch {
	case !ok:
		return mallee.Volume{}, failed("grow", mallee.NotFound, string(id), "no such volume")
	case v.Modification != nil && v.Modification.State == mallee.ModificationOptimizing:
		return mallee.Volume{}, failed("grow", mallee.Modifying, string(id), "it is growing")
	case sizeGiB <= v.SizeGiB:
		return mallee.Volume{}, failed("grow", mallee.Invalid, string(id), "new size cannot be smaller than existing size")
	}
	v.Modification = &mallee.Modification{State: mallee.ModificationCompleted, OriginalGiB: v.SizeGiB, TargetGiB: sizeGiB, Started: created, Ended: created}
	if v.Attachment != nil {
		v.Modification.State, v.Modification.Ended = mallee.ModificationOptimizing, time.Time{}
	}
	v.SizeGiB = sizeGiB
	c.volumes[id] = v
	return v, nil
}

func (c *memCloud) SetTags(_ context.Context, ids []string, tags map[string]string) error {
	return c.changeTags(ids, func(have map[string]string) { maps.Copy(have, tags) })
}

func (c *memCloud) ClearTags(_ context.Context, ids []string, drop func(key, value string) bool) error {
	return c.changeTags(ids, func(have map[string]string) { maps.DeleteFunc(have, drop) })
}

// changeTags changes all or, when one is unknown or gets too many, none.
func (c *memCloud) changeTags(ids []string, change func(map[string]string)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := map[string]map[string]string{}
	for _, id := range ids {
		v, isVolume := c.volumes[mallee.VolumeID(id)]
		if isNode := id == string(node1) || id == string(node2); !isVolume && !isNode {
			return failed("tag", mallee.NotFound, id, "there is no such thing")
		}
		tags := map[string]string{}
		maps.Copy(tags, v.Tags)
		maps.Copy(tags, c.tags[mallee.InstanceID(id)])
		if change(tags); len(tags) > mallee.MaxTags {
			return failed("tag", mallee.TooMany, id, "it would have %d tags", len(tags))
		}
		changed[id] = tags
	}
	for id, tags := range changed {
		if v, ok := c.volumes[mallee.VolumeID(id)]; ok {
			v.Tags = tags
			c.volumes[v.ID] = v
		} else {
			c.tags[mallee.InstanceID(id)] = tags
		}
	}
	return nil
}

func (c *memCloud) Partitions(context.Context) ([]mallee.Partition, error) {
	return []mallee.Partition{
		{Name: "PARTI00", Live: true, Pool: &mallee.Pool{SizeBytes: 100 * mallee.GiB, FreeBytes: 7 * mallee.GiB, Alarms: []string{"data is 93 % full"}}},
		{Name: "PARTI01"},
	}, c.broken
}

func (c *memCloud) AttachVolume(_ context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[id]
	switch {
	case !ok:
		return mallee.Attachment{}, failed("attach", mallee.NotFound, string(id), "no such volume")
	case instance == asleep:
		return mallee.Attachment{}, failed("attach", mallee.IncorrectState, string(id), "%s is not connected", instance)
	case instance == elsewhere:
		return mallee.Attachment{}, failed("attach", mallee.ZoneMismatch, string(id), "%s is in another partition", instance)
	case instance != node1 && instance != node2:
		return mallee.Attachment{}, failed("attach", mallee.NotFound, string(instance), "no such node")
	case v.Attachment != nil:
		return mallee.Attachment{}, failed("attach", mallee.InUse, string(id), "it is attached to %s", v.Attachment.InstanceID)
	}
	v.State = mallee.VolumeInUse
	v.Attachment = &mallee.Attachment{
		VolumeID: id, InstanceID: instance, Device: device, HostDevice: "/dev/mallee/" + string(id),
		State: mallee.Attached, Generation: 7, Since: created,
	}
	c.volumes[id] = v
	return *v.Attachment, nil
}

func (c *memCloud) DetachVolume(_ context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[id]
	if !ok {
		return mallee.Attachment{}, failed("detach", mallee.NotFound, string(id), "no such volume")
	}
	a := v.Attachment
	if a == nil {
		return mallee.Attachment{}, failed("detach", mallee.IncorrectState, string(id), "it is in the 'available' state")
	}
	if instance != "" && instance != a.InstanceID || device != "" && device != a.Device {
		return mallee.Attachment{}, failed("detach", mallee.NotAttached, string(id), "it is not attached there")
	}
	v.State, v.Attachment = mallee.VolumeAvailable, nil
	c.volumes[id] = v
	a.State = mallee.Detaching
	return *a, nil
}

func (c *memCloud) Nodes(context.Context) ([]mallee.Node, error) {
	node := func(id mallee.InstanceID, name string, live bool) mallee.Node {
		n := mallee.Node{InstanceID: id, Name: name, Partition: "PARTI00", Initiator: mallee.IQN("iqn.2026-11.io.mallee:" + name), Live: live, Tags: c.tags[id]}
		if live {
			n.Seen = created
		}
		return n
	}
	return []mallee.Node{node(node2, "nc2", true), node(node1, "nc1", true), node(asleep, "nc3", false)}, c.broken
}

func (c *memCloud) Paths(ctx context.Context) ([]mallee.Path, error) {
	volumes, err := c.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	if c.paths != nil {
		return c.paths, nil
	}
	var paths []mallee.Path
	for _, v := range volumes {
		if v.Attachment != nil {
			paths = append(paths,
				mallee.Path{VolumeID: v.ID, InstanceID: v.Attachment.InstanceID, Text: "iface0:10.107.1.200", Interface: "iface0", NetDevice: "eth1", Portal: "10.107.1.200:3260", State: mallee.PathUp, BlockDev: "sdb"},
				mallee.Path{VolumeID: v.ID, InstanceID: v.Attachment.InstanceID, Text: "iface1:san1", Interface: "iface1", State: mallee.PathUnresolved, Reason: "no such label"})
		}
	}
	return paths, nil
}
