// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"net/url"

	"github.com/mallee-io/mallee"
)

// VolumeStatus tells whether the paths to a volume are as they should be, in
// EC2's words.
type VolumeStatus string

// The statuses of a volume.
const (
	StatusOK       VolumeStatus = "ok"
	StatusImpaired VolumeStatus = "impaired"          // fewer paths are up than expected, or none
	StatusUnknown  VolumeStatus = "insufficient-data" // its node has not told
)

// VolumeStatus returns the status of one volume.
func (c *Client) VolumeStatus(ctx context.Context, id mallee.VolumeID) (VolumeStatus, error) {
	var out struct {
		Items []struct {
			Status VolumeStatus `xml:"volumeStatus>status"`
		} `xml:"volumeStatusSet>item"`
	}
	if err := c.do(ctx, ec2, "DescribeVolumeStatus", url.Values{"VolumeId.1": {string(id)}}, &out); err != nil {
		return "", err
	}
	if len(out.Items) != 1 {
		return "", fmt.Errorf("the cloud answered with the status of %d volumes of id %s", len(out.Items), id)
	}
	return out.Items[0].Status, nil
}
