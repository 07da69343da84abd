// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"
	"time"

	"github.com/mallee-io/mallee"
)

// nodeItem is a node as the API writes it.
type nodeItem struct {
	InstanceID      mallee.InstanceID `xml:"instanceId"`
	State           string            `xml:"instanceState>name"`
	Name            string            `xml:"privateDnsName"`
	Partition       string            `xml:"placement>availabilityZone"`
	Initiator       mallee.IQN        `xml:"initiator"`
	LastSeen        time.Time         `xml:"lastSeen"`
	Tags            []tagItem         `xml:"tagSet>item"`
	Joined          time.Time         `xml:"joined"`
	CertificateEnds time.Time         `xml:"certificateEnds"`
}

func (i nodeItem) node() mallee.Node {
	tags := tagMap(i.Tags)
	if tags["Name"] == i.Name {
		// The API makes this tag of the name, since that is where clients look for one.
		delete(tags, "Name")
	}
	if len(tags) == 0 {
		tags = nil
	}
	return mallee.Node{
		InstanceID: i.InstanceID, Name: i.Name, Partition: i.Partition, Initiator: i.Initiator,
		Live: i.State == "running", Seen: i.LastSeen, Tags: tags, Joined: i.Joined, CertificateEnds: i.CertificateEnds,
	}
}

// Nodes returns all nodes, sorted by instance id.
func (c *Client) Nodes(ctx context.Context) ([]mallee.Node, error) {
	return collect(pages(ctx, nil, c.nodePage))
}

func (c *Client) nodePage(ctx context.Context, params url.Values) ([]mallee.Node, string, error) {
	var out struct {
		Items []nodeItem `xml:"reservationSet>item>instancesSet>item"`
		Next  string     `xml:"nextToken"`
	}
	if err := c.do(ctx, ec2, "DescribeInstances", params, &out); err != nil {
		return nil, "", err
	}
	var list []mallee.Node
	for _, item := range out.Items {
		list = append(list, item.node())
	}
	return list, out.Next, nil
}
