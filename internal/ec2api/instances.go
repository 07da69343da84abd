// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"cmp"
	"context"
	"slices"

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
	if err := checkFilters(in.Filters, nodeFilters()); err != nil {
		return err
	}
	return in.page.check("InstanceId", len(in.InstanceIDs))
}

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

type tagItem struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func (a api) describeInstances(ctx context.Context, in describeInstancesIn) (*describeInstancesOut, error) {
	nodes, err := a.cloud.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	volumes, err := a.cloud.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	nodes = slices.SortedFunc(slices.Values(nodes), func(a, b mallee.Node) int { return cmp.Compare(a.InstanceID, b.InstanceID) })
	id := func(n mallee.Node) string { return string(n.InstanceID) }
	if nodes, err = choose(nodes, in.InstanceIDs, id); err != nil {
		return nil, err
	}
	nodes = applyFilters(nodes, in.Filters, nodeFilters())
	out := &describeInstancesOut{}
	nodes, out.NextToken = cut(in.page, nodes, id)
	disks := disksByInstance(volumes)
	for _, n := range nodes {
		out.Reservations.Items = append(out.Reservations.Items, reservationItem{
			ReservationID: "r-" + id(n)[len("i-"):],
			Instances:     query.Set[instanceItem]{Items: []instanceItem{newInstanceItem(n, disks[n.InstanceID])}},
		})
	}
	return out, nil
}

func newInstanceItem(n mallee.Node, disks []diskItem) instanceItem {
	seen := ""
	if !n.Seen.IsZero() {
		seen = timestamp(n.Seen)
	}
	return instanceItem{
		InstanceID: n.InstanceID, State: stateOf(n), PrivateDNSName: n.Name, Zone: n.Partition,
		Disks: query.Set[diskItem]{Items: disks},
		// What clients show as an instance's name is its tag "Name".
		Tags:      query.Set[tagItem]{Items: []tagItem{{"Name", n.Name}}},
		Initiator: n.Initiator, LastSeen: seen,
	}
}

// stateOf returns the state with EC2's code for it (API type InstanceState).
func stateOf(n mallee.Node) instanceState {
	if n.Live {
		return instanceState{16, "running"}
	}
	return instanceState{80, "stopped"}
}

func disksByInstance(volumes []mallee.Volume) map[mallee.InstanceID][]diskItem {
	disks := map[mallee.InstanceID][]diskItem{}
	for _, v := range volumes {
		if at := v.Attachment; at != nil {
			disks[at.InstanceID] = append(disks[at.InstanceID], diskItem{
				DeviceName: at.Device, VolumeID: v.ID, Status: at.State, AttachTime: timestamp(at.Since),
			})
		}
	}
	return disks
}

func nodeFilters() filters[mallee.Node] {
	name := func(n mallee.Node) []string { return []string{n.Name} }
	return filters[mallee.Node]{
		"instance-id":         func(n mallee.Node) []string { return []string{string(n.InstanceID)} },
		"instance-state-name": func(n mallee.Node) []string { return []string{stateOf(n).Name} },
		"availability-zone":   func(n mallee.Node) []string { return []string{n.Partition} },
		"private-dns-name":    name,
		"tag:Name":            name,
	}
}
