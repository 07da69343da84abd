// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"slices"
	"strconv"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// volumeType is what every volume is shown as. The pool of a partition decides
// how fast its volumes are, and "standard" is EC2's word that promises nothing.
const volumeType = "standard"

type createVolumeIn struct {
	common
	AvailabilityZone string `query:"AvailabilityZone,required"`
	Size             int    `query:"Size,required"` // GiB
	VolumeType       string `query:"VolumeType"`
	ClientToken      string `query:"ClientToken"`
}

func (in createVolumeIn) check() error {
	switch {
	case in.Size < 1:
		return query.Faultf("InvalidParameterValue", "Volume of %dGiB is too small; minimum is 1GiB.", in.Size)
	case in.Size > mallee.MaxSizeGiB:
		return query.Faultf("InvalidParameterValue", "Volume of %dGiB is too large; maximum is %dGiB.", in.Size, mallee.MaxSizeGiB)
	case !slices.Contains([]string{"", volumeType, "gp2", "gp3"}, in.VolumeType):
		return query.Faultf("UnknownVolumeType", "The volume type '%s' is not supported: use standard, gp2 or gp3.", in.VolumeType)
	case len(in.ClientToken) > 64:
		return query.BadValue("ClientToken", in.ClientToken, "Expected at most 64 characters.")
	}
	return nil
}

type createVolumeOut struct {
	query.Reply
	volumeItem
}

func (a api) createVolume(ctx context.Context, in createVolumeIn) (*createVolumeOut, error) {
	v, err := a.cloud.CreateVolume(ctx, mallee.VolumeSpec{Partition: in.AvailabilityZone, SizeGiB: in.Size, ClientToken: in.ClientToken})
	if err != nil {
		return nil, err
	}
	return &createVolumeOut{volumeItem: newVolumeItem(v)}, nil
}

type describeVolumesIn struct {
	common
	page
	VolumeIDs []string `query:"VolumeId"`
	Filters   []filter `query:"Filter"`
}

func (in describeVolumesIn) check() error {
	if err := checkIDs(in.VolumeIDs, checkVolumeID); err != nil {
		return err
	}
	if err := checkFilters(in.Filters, volumeFilters()); err != nil {
		return err
	}
	return in.page.check("VolumeId", len(in.VolumeIDs))
}

type describeVolumesOut struct {
	query.Reply
	Volumes   query.Set[volumeItem] `xml:"volumeSet"`
	NextToken string                `xml:"nextToken,omitempty"`
}

func (a api) describeVolumes(ctx context.Context, in describeVolumesIn) (*describeVolumesOut, error) {
	all, err := a.cloud.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	id := func(v mallee.Volume) string { return string(v.ID) }
	list, err := choose(all, in.VolumeIDs, id)
	if err != nil {
		return nil, err
	}
	list = applyFilters(list, in.Filters, volumeFilters())
	out := &describeVolumesOut{}
	list, out.NextToken = cut(in.page, list, id)
	for _, v := range list {
		out.Volumes.Items = append(out.Volumes.Items, newVolumeItem(v))
	}
	return out, nil
}

func volumeFilters() filters[mallee.Volume] {
	attached := func(get func(mallee.Attachment) string) func(mallee.Volume) []string {
		return func(v mallee.Volume) []string {
			if v.Attachment == nil {
				return nil
			}
			return []string{get(*v.Attachment)}
		}
	}
	return filters[mallee.Volume]{
		"volume-id":              func(v mallee.Volume) []string { return []string{string(v.ID)} },
		"status":                 func(v mallee.Volume) []string { return []string{string(v.State)} },
		"availability-zone":      func(v mallee.Volume) []string { return []string{v.Partition} },
		"size":                   func(v mallee.Volume) []string { return []string{strconv.Itoa(v.SizeGiB)} },
		"attachment.instance-id": attached(func(a mallee.Attachment) string { return string(a.InstanceID) }),
		"attachment.device":      attached(func(a mallee.Attachment) string { return a.Device }),
		"attachment.status":      attached(func(a mallee.Attachment) string { return string(a.State) }),
	}
}

type deleteVolumeIn struct {
	common
	VolumeID string `query:"VolumeId,required"`
}

func (in deleteVolumeIn) check() error { return checkVolumeID(in.VolumeID) }

// doneOut is the answer to a call that has nothing to tell but that it was done.
type doneOut struct {
	query.Reply
	Return bool `xml:"return"`
}

func (a api) deleteVolume(ctx context.Context, in deleteVolumeIn) (*doneOut, error) {
	if err := a.cloud.DeleteVolume(ctx, mallee.VolumeID(in.VolumeID)); err != nil {
		return nil, err
	}
	return &doneOut{Return: true}, nil
}
