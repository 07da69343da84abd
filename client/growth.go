// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
)

// modificationItem is the growth of a volume as the API writes it.
type modificationItem struct {
	State       mallee.ModificationState `xml:"modificationState"`
	OriginalGiB int                      `xml:"originalSize"`
	TargetGiB   int                      `xml:"targetSize"`
	Started     time.Time                `xml:"startTime"`
	Ended       time.Time                `xml:"endTime"`
	Message     string                   `xml:"statusMessage"`
}

// ResizeVolume asks that a volume grow to sizeGiB, also while it is used. It has
// grown, its node's device too, when the state of its Modification is completed.
func (c *Client) ResizeVolume(ctx context.Context, id mallee.VolumeID, sizeGiB int) (mallee.Modification, error) {
	var out struct {
		Item modificationItem `xml:"volumeModification"`
	}
	params := url.Values{"VolumeId": {string(id)}, "Size": {strconv.Itoa(sizeGiB)}}
	err := c.do(ctx, ec2, "ModifyVolume", params, &out)
	return mallee.Modification(out.Item), err
}

// Modification returns the latest growth of a volume; nil if it never grew. A
// volume that does not exist is an error.
func (c *Client) Modification(ctx context.Context, id mallee.VolumeID) (*mallee.Modification, error) {
	var out struct {
		Items []modificationItem `xml:"volumeModificationSet>item"`
	}
	err := c.do(ctx, ec2, "DescribeVolumesModifications", url.Values{"VolumeId.1": {string(id)}}, &out)
	// EC2 refuses to list the modifications of a volume that has none.
	if refused, ok := errors.AsType[*APIError](err); ok && strings.HasPrefix(refused.Code, "InvalidVolumeModification") {
		return nil, nil
	}
	if err != nil || len(out.Items) == 0 {
		return nil, err
	}
	m := mallee.Modification(out.Items[0])
	return &m, nil
}
