// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"
	"time"

	"github.com/mallee-io/mallee"
)

// Nodes returns all nodes, sorted by instance id.
func (c *Client) Nodes(ctx context.Context) ([]mallee.Node, error) {
	var out struct {
		Items []struct {
			InstanceID mallee.InstanceID `xml:"instanceId"`
			State      string            `xml:"instanceState>name"`
			Name       string            `xml:"privateDnsName"`
			Partition  string            `xml:"placement>availabilityZone"`
			Initiator  mallee.IQN        `xml:"initiator"`
			LastSeen   time.Time         `xml:"lastSeen"`
		} `xml:"reservationSet>item>instancesSet>item"`
	}
	if err := c.do(ctx, ec2, "DescribeInstances", url.Values{}, &out); err != nil {
		return nil, err
	}
	var list []mallee.Node
	for _, item := range out.Items {
		list = append(list, mallee.Node{
			InstanceID: item.InstanceID, Name: item.Name, Partition: item.Partition, Initiator: item.Initiator,
			Live: item.State == "running", Seen: item.LastSeen,
		})
	}
	return list, nil
}

// Paths returns the paths of the volumes named, or of all when none is.
func (c *Client) Paths(ctx context.Context, volumes ...mallee.VolumeID) ([]mallee.Path, error) {
	var out struct {
		Items []struct {
			VolumeID   mallee.VolumeID   `xml:"volumeId"`
			InstanceID mallee.InstanceID `xml:"instanceId"`
			Interface  string            `xml:"interface"`
			Portal     string            `xml:"portal"`
			State      mallee.PathState  `xml:"state"`
			BlockDev   string            `xml:"blockDevice"`
			Reason     string            `xml:"reason"`
		} `xml:"pathSet>item"`
	}
	if err := c.do(ctx, ec2, "DescribePaths", numbered("VolumeId", volumes), &out); err != nil {
		return nil, err
	}
	var list []mallee.Path
	for _, item := range out.Items {
		list = append(list, mallee.Path(item))
	}
	return list, nil
}
