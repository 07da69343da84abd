// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"strconv"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

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
	if err := volumeFilters().check(in.Filters); err != nil {
		return err
	}
	if err := in.checkUnnamed("VolumeId", in.VolumeIDs); err != nil {
		return err
	}
	return volumePages.check(in.page)
}

func (describeVolumesIn) filterNames() []string { return volumeFilters().names() }

type describeVolumesOut struct {
	query.Reply
	Volumes   query.Set[volumeItem] `xml:"volumeSet"`
	NextToken string                `xml:"nextToken,omitempty"`
}

func (a api) describeVolumes(ctx context.Context, in describeVolumesIn) (*describeVolumesOut, error) {
	list, err := a.chooseVolumes(ctx, in.VolumeIDs)
	if err != nil {
		return nil, err
	}
	list = volumeFilters().apply(list, in.Filters)
	out := &describeVolumesOut{}
	list, out.NextToken = cut(volumePages, in.page, list, volumeID)
	for _, v := range list {
		out.Volumes.Items = append(out.Volumes.Items, newVolumeItem(v))
	}
	return out, nil
}

func volumeID(v mallee.Volume) string { return string(v.ID) }

// chooseVolumes returns the volumes whose ids are asked for; all when none are.
func (a api) chooseVolumes(ctx context.Context, ids []string) ([]mallee.Volume, error) {
	all, err := a.volumes.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	return choose(all, ids, volumeID, notFound)
}

func volumeFilters() filters[mallee.Volume] {
	one := func(get func(mallee.Volume) string) func(mallee.Volume) []string {
		return func(v mallee.Volume) []string { return []string{get(v)} }
	}
	always := func(value string) func(mallee.Volume) []string {
		return func(mallee.Volume) []string { return []string{value} }
	}
	attached := func(get func(mallee.Attachment) string) func(mallee.Volume) []string {
		return func(v mallee.Volume) []string {
			if v.Attachment == nil {
				return nil
			}
			return []string{get(*v.Attachment)}
		}
	}
	zone := one(func(v mallee.Volume) string { return v.Partition })
	return filters[mallee.Volume]{
		tags: func(v mallee.Volume) map[string]string { return v.Tags },
		fields: map[string]func(mallee.Volume) []string{
			"attachment.attach-time":           attached(func(a mallee.Attachment) string { return timestamp(a.Since) }),
			"attachment.delete-on-termination": attached(func(mallee.Attachment) string { return "false" }),
			"attachment.device":                attached(func(a mallee.Attachment) string { return a.Device }),
			"attachment.instance-id":           attached(func(a mallee.Attachment) string { return string(a.InstanceID) }),
			"attachment.status":                attached(func(a mallee.Attachment) string { return string(a.State) }),
			"availability-zone":                zone,
			"availability-zone-id":             zone,
			"create-time":                      one(func(v mallee.Volume) string { return timestamp(v.Created) }),
			"encrypted":                        always("false"),
			"fast-restored":                    always("false"),
			"multi-attach-enabled":             always("false"),
			"size":                             one(func(v mallee.Volume) string { return strconv.Itoa(v.SizeGiB) }),
			"snapshot-id":                      always(""),
			"status":                           one(func(v mallee.Volume) string { return string(v.State) }),
			"volume-id":                        one(volumeID),
			"volume-type":                      one(func(v mallee.Volume) string { return v.Type }),
		},
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
	if err := a.volumes.DeleteVolume(ctx, mallee.VolumeID(in.VolumeID)); err != nil {
		return nil, err
	}
	return &doneOut{Return: true}, nil
}
