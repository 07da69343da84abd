// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/mallee-io/mallee"
)

// Paths returns the paths of the volumes named, or of all when none is.
func (c *Client) Paths(ctx context.Context, volumes ...mallee.VolumeID) ([]mallee.Path, error) {
	var out struct {
		Items []struct {
			VolumeID   mallee.VolumeID   `xml:"volumeId"`
			InstanceID mallee.InstanceID `xml:"instanceId"`
			Text       string            `xml:"text"`
			Interface  string            `xml:"interface"`
			NetDevice  string            `xml:"netDevice"`
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
