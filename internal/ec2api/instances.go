// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

type describeInstancesIn struct {
	common
	page
	InstanceIDs []string `query:"InstanceId"`
	Filters     []filter `query:"Filter"`
}

func (in describeInstancesIn) check() error {
	if err := checkIDs(in.InstanceIDs, checkInstanceID); err != nil {
		return err
	}
	if err := instanceFilters().check(in.Filters); err != nil {
		return err
	}
	if err := in.checkUnnamed("InstanceId", in.InstanceIDs); err != nil {
		return err
	}
	return instancePages.check(in.page)
}

func (describeInstancesIn) filterNames() []string { return instanceFilters().names() }

type describeInstancesOut struct {
	query.Reply
	Reservations query.Set[reservationItem] `xml:"reservationSet"`
	NextToken    string                     `xml:"nextToken,omitempty"`
}

// reservationItem is EC2's Reservation: what one RunInstances made. Nodes are
// not made that way, so each stands in one of its own.
type reservationItem struct {
	ReservationID string                  `xml:"reservationId"`
	Groups        query.Set[struct{}]     `xml:"groupSet"`
	Instances     query.Set[instanceItem] `xml:"instancesSet"`
}

// instanceItem is EC2's Instance, with what we add at its end.
type instanceItem struct {
	InstanceID     mallee.InstanceID   `xml:"instanceId"`
	State          instanceState       `xml:"instanceState"`
	PrivateDNSName string              `xml:"privateDnsName"`
	Zone           string              `xml:"placement>availabilityZone"`
	Disks          query.Set[diskItem] `xml:"blockDeviceMapping"`
	Tags           query.Set[tagItem]  `xml:"tagSet"`

	Initiator mallee.IQN `xml:"initiator"`
	LastSeen  string     `xml:"lastSeen,omitempty"` // left out when the cloud does not know
	// Joined is when the node last joined, CertificateEnds until when its
	// certificate is good.
	Joined          string `xml:"joined,omitempty"`
	CertificateEnds string `xml:"certificateEnds,omitempty"`
}

type instanceState struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

type diskItem struct {
	DeviceName          string                 `xml:"deviceName"`
	VolumeID            mallee.VolumeID        `xml:"ebs>volumeId"`
	Status              mallee.AttachmentState `xml:"ebs>status"`
	AttachTime          string                 `xml:"ebs>attachTime"`
	DeleteOnTermination bool                   `xml:"ebs>deleteOnTermination"`
}

func (a api) describeInstances(ctx context.Context, in describeInstancesIn) (*describeInstancesOut, error) {
	list, err := a.instances(ctx, in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	out := &describeInstancesOut{}
	list, out.NextToken = cut(instancePages, in.page, instanceFilters().apply(list, in.Filters), instanceID)
	for _, i := range list {
		out.Reservations.Items = append(out.Reservations.Items, reservationItem{
			ReservationID: reservationID(i),
			Instances:     query.Set[instanceItem]{Items: []instanceItem{newInstanceItem(i)}},
		})
	}
	return out, nil
}

// instance is a node with the volumes that are attached to it.
type instance struct {
	mallee.Node
	disks []mallee.Attachment
}

func instanceID(i instance) string    { return string(i.InstanceID) }
func reservationID(i instance) string { return "r-" + strings.TrimPrefix(instanceID(i), "i-") }

// nodes returns all nodes, sorted by instance id.
func (a api) nodes(ctx context.Context) ([]mallee.Node, error) {
	nodes, err := a.places.Nodes(ctx)
	return slices.SortedFunc(slices.Values(nodes), func(a, b mallee.Node) int { return cmp.Compare(a.InstanceID, b.InstanceID) }), err
}

// instances returns the instances whose ids are asked for, sorted by id; all
// when none are.
func (a api) instances(ctx context.Context, ids []string) ([]instance, error) {
	nodes, err := a.nodes(ctx)
	if err != nil {
		return nil, err
	}
	volumes, err := a.volumes.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	disks := map[mallee.InstanceID][]mallee.Attachment{}
	for _, v := range volumes {
		if at := v.Attachment; at != nil {
			disks[at.InstanceID] = append(disks[at.InstanceID], *at)
		}
	}
	var all []instance
	for _, n := range nodes {
		all = append(all, instance{n, disks[n.InstanceID]})
	}
	return choose(all, ids, instanceID, notFound)
}

func newInstanceItem(i instance) instanceItem {
	item := instanceItem{
		InstanceID: i.InstanceID, State: stateOf(i.Node), PrivateDNSName: i.Name, Zone: i.Partition,
		Tags: newTagSet(nodeTags(i.Node)), Initiator: i.Initiator,
		LastSeen: ifKnown(i.Seen), Joined: ifKnown(i.Joined), CertificateEnds: ifKnown(i.CertificateEnds),
	}
	for _, at := range i.disks {
		item.Disks.Items = append(item.Disks.Items, diskItem{
			DeviceName: at.Device, VolumeID: at.VolumeID, Status: at.State, AttachTime: timestamp(at.Since),
		})
	}
	return item
}

// ifKnown writes a time, and nothing for one that is not known.
func ifKnown(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return timestamp(t)
}

// stateOf returns the state with EC2's code for it (API type InstanceState).
func stateOf(n mallee.Node) instanceState {
	if n.Live {
		return instanceState{16, "running"}
	}
	return instanceState{80, "stopped"}
}

func instanceFilters() filters[instance] {
	one := func(get func(instance) string) func(instance) []string {
		return func(i instance) []string { return []string{get(i)} }
	}
	disk := func(get func(mallee.Attachment) string) func(instance) []string {
		return func(i instance) []string {
			var values []string
			for _, at := range i.disks {
				values = append(values, get(at))
			}
			return values
		}
	}
	zone := one(func(i instance) string { return i.Partition })
	return filters[instance]{
		tags: func(i instance) map[string]string { return nodeTags(i.Node) },
		fields: map[string]func(instance) []string{
			"availability-zone":                          zone,
			"availability-zone-id":                       zone,
			"block-device-mapping.attach-time":           disk(func(at mallee.Attachment) string { return timestamp(at.Since) }),
			"block-device-mapping.delete-on-termination": disk(func(mallee.Attachment) string { return "false" }),
			"block-device-mapping.device-name":           disk(func(at mallee.Attachment) string { return at.Device }),
			"block-device-mapping.status":                disk(func(at mallee.Attachment) string { return string(at.State) }),
			"block-device-mapping.volume-id":             disk(func(at mallee.Attachment) string { return string(at.VolumeID) }),
			"instance-id":                                one(instanceID),
			"instance-state-code":                        one(func(i instance) string { return strconv.Itoa(stateOf(i.Node).Code) }),
			"instance-state-name":                        one(func(i instance) string { return stateOf(i.Node).Name }),
			"private-dns-name":                           one(func(i instance) string { return i.Name }),
			"reservation-id":                             one(reservationID),
		},
	}
}
