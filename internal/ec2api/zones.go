// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// region is the one that all zones are in. Callers may sign for any.
const region = "mallee"

const optInStatus = "opt-in-not-required"

type describeZonesIn struct {
	common
	ZoneNames []string `query:"ZoneName"`
	ZoneIDs   []string `query:"ZoneId" note:"a zone's id is its name"`
	All       bool     `query:"AllAvailabilityZones" note:"without effect: all are shown"`
	Filters   []filter `query:"Filter"`
}

func (in describeZonesIn) check() error { return zoneFilters().check(in.Filters) }

func (describeZonesIn) filterNames() []string { return zoneFilters().names() }

type describeZonesOut struct {
	query.Reply
	Zones query.Set[zoneItem] `xml:"availabilityZoneInfo"`
}

// zoneItem is EC2's AvailabilityZone, with what we add at its end.
type zoneItem struct {
	ZoneName           string                 `xml:"zoneName"`
	State              string                 `xml:"zoneState"`
	RegionName         string                 `xml:"regionName"`
	ZoneID             string                 `xml:"zoneId"`
	GroupName          string                 `xml:"groupName"`
	NetworkBorderGroup string                 `xml:"networkBorderGroup"`
	OptInStatus        string                 `xml:"optInStatus"`
	ZoneType           string                 `xml:"zoneType"`
	Messages           query.Set[zoneMessage] `xml:"messageSet"`

	Pool *poolItem `xml:"pool"` // left out until the storage controller has told
}

type zoneMessage struct {
	Message string `xml:"message"`
}

// poolItem is a mallee.Pool.
type poolItem struct {
	SizeBytes         uint64            `xml:"sizeBytes"`
	FreeBytes         uint64            `xml:"freeBytes"`
	PromisedBytes     uint64            `xml:"promisedBytes"`
	PromiseLimitBytes uint64            `xml:"promiseLimitBytes"`
	MetadataSizeBytes uint64            `xml:"metadataSizeBytes"`
	MetadataFreeBytes uint64            `xml:"metadataFreeBytes"`
	Alarms            query.Set[string] `xml:"alarmSet"`
}

// newZoneItem returns a partition as a zone. It is available while its storage
// controller is connected, since that is when volumes can be made in it.
func newZoneItem(p mallee.Partition) zoneItem {
	item := zoneItem{
		ZoneName: p.Name, State: "available", RegionName: region, ZoneID: p.Name, GroupName: region,
		NetworkBorderGroup: region, OptInStatus: optInStatus, ZoneType: "availability-zone",
	}
	var messages []string
	if !p.Live {
		item.State, messages = "unavailable", []string{"its storage controller is not connected"}
	}
	if pool := p.Pool; pool != nil {
		messages = append(messages, pool.Alarms...)
		item.Pool = &poolItem{
			pool.SizeBytes, pool.FreeBytes, pool.PromisedBytes, pool.PromiseLimitBytes, pool.MetadataSizeBytes, pool.MetadataFreeBytes,
			query.Set[string]{Items: pool.Alarms},
		}
	}
	for _, m := range messages {
		item.Messages.Items = append(item.Messages.Items, zoneMessage{m})
	}
	return item
}

func (a api) describeZones(ctx context.Context, in describeZonesIn) (*describeZonesOut, error) {
	partitions, err := a.places.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]zoneItem, 0, len(partitions))
	for _, p := range partitions {
		list = append(list, newZoneItem(p))
	}
	for _, names := range [][]string{in.ZoneNames, in.ZoneIDs} {
		if list, err = choose(list, names, func(z zoneItem) string { return z.ZoneName }, noZone); err != nil {
			return nil, err
		}
	}
	return &describeZonesOut{Zones: query.Set[zoneItem]{Items: zoneFilters().apply(list, in.Filters)}}, nil
}

// noZone differs from what CreateVolume answers, as in EC2.
func noZone(names ...string) *query.Fault {
	return query.Faultf("InvalidParameterValue", "Invalid availability zone: [%s]", strings.Join(names, ", "))
}

func zoneFilters() filters[zoneItem] {
	one := func(get func(zoneItem) string) func(zoneItem) []string {
		return func(z zoneItem) []string { return []string{get(z)} }
	}
	name := one(func(z zoneItem) string { return z.ZoneName })
	return filters[zoneItem]{fields: map[string]func(zoneItem) []string{
		"group-name": one(func(z zoneItem) string { return z.GroupName }),
		"message": func(z zoneItem) []string {
			return each(z.Messages.Items, func(m zoneMessage) string { return m.Message })
		},
		"opt-in-status": one(func(z zoneItem) string { return z.OptInStatus }),
		"region-name":   one(func(z zoneItem) string { return z.RegionName }),
		"state":         one(func(z zoneItem) string { return z.State }),
		"zone-id":       name,
		"zone-name":     name,
		"zone-type":     one(func(z zoneItem) string { return z.ZoneType }),
	}}
}
