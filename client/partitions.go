// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"

	"github.com/mallee-io/mallee"
)

// poolItem is a pool as the API writes it.
type poolItem struct {
	SizeBytes         uint64   `xml:"sizeBytes"`
	FreeBytes         uint64   `xml:"freeBytes"`
	PromisedBytes     uint64   `xml:"promisedBytes"`
	PromiseLimitBytes uint64   `xml:"promiseLimitBytes"`
	MetadataSizeBytes uint64   `xml:"metadataSizeBytes"`
	MetadataFreeBytes uint64   `xml:"metadataFreeBytes"`
	Alarms            []string `xml:"alarmSet>item"`
}

// Partitions returns all partitions, also those without a live storage
// controller, sorted by name.
func (c *Client) Partitions(ctx context.Context) ([]mallee.Partition, error) {
	var out struct {
		Items []struct {
			Name  string    `xml:"zoneName"`
			State string    `xml:"zoneState"`
			Pool  *poolItem `xml:"pool"`
		} `xml:"availabilityZoneInfo>item"`
	}
	if err := c.do(ctx, ec2, "DescribeAvailabilityZones", url.Values{}, &out); err != nil {
		return nil, err
	}
	var list []mallee.Partition
	for _, item := range out.Items {
		list = append(list, mallee.Partition{Name: item.Name, Live: item.State == "available", Pool: (*mallee.Pool)(item.Pool)})
	}
	return list, nil
}
