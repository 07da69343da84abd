// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"slices"
	"strconv"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

type modifyVolumeIn struct {
	common
	performance
	VolumeID string `query:"VolumeId,required"`
	Size     *int   `query:"Size" note:"GiB; larger than the volume is"`
}

func (in modifyVolumeIn) check() error {
	if err := checkVolumeID(in.VolumeID); err != nil {
		return err
	}
	if err := in.performance.check(); err != nil {
		return err
	}
	switch {
	case in.VolumeType != "":
		// The type has no effect, so that changing it would only look like one.
		return query.Faultf("UnsupportedOperation", "The type of volume '%s' cannot be changed: its pool decides how fast it is.", in.VolumeID)
	case in.Size == nil:
		return query.Faultf("MissingParameter", "The request must contain the parameter Size")
	case *in.Size > mallee.MaxSizeGiB:
		return query.Faultf("InvalidParameterValue", "Volume of %dGiB is too large; maximum is %dGiB.", *in.Size, mallee.MaxSizeGiB)
	}
	return nil
}

type modifyVolumeOut struct {
	query.Reply
	Modification modificationItem `xml:"volumeModification"`
}

func (a api) modifyVolume(ctx context.Context, in modifyVolumeIn) (*modifyVolumeOut, error) {
	v, err := a.volumes.GrowVolume(ctx, mallee.VolumeID(in.VolumeID), *in.Size)
	if err != nil {
		return nil, err
	}
	return &modifyVolumeOut{Modification: newModificationItem(v)}, nil
}

// modificationItem is EC2's VolumeModification.
type modificationItem struct {
	VolumeID            mallee.VolumeID          `xml:"volumeId"`
	State               mallee.ModificationState `xml:"modificationState"`
	StatusMessage       string                   `xml:"statusMessage,omitempty"`
	TargetSize          int                      `xml:"targetSize"` // GiB
	TargetType          string                   `xml:"targetVolumeType"`
	TargetMultiAttach   bool                     `xml:"targetMultiAttachEnabled"`
	OriginalSize        int                      `xml:"originalSize"` // GiB
	OriginalType        string                   `xml:"originalVolumeType"`
	OriginalMultiAttach bool                     `xml:"originalMultiAttachEnabled"`
	Progress            int                      `xml:"progress"` // percent
	StartTime           string                   `xml:"startTime"`
	EndTime             string                   `xml:"endTime,omitempty"`
}

// newModificationItem is for a volume that has a modification.
func newModificationItem(v mallee.Volume) modificationItem {
	m := v.Modification
	item := modificationItem{
		VolumeID: v.ID, State: m.State, StatusMessage: m.Message, TargetSize: m.TargetGiB, TargetType: v.Type,
		OriginalSize: m.OriginalGiB, OriginalType: v.Type, Progress: progress(m.State), StartTime: timestamp(m.Started),
	}
	if !m.Ended.IsZero() {
		item.EndTime = timestamp(m.Ended)
	}
	return item
}

// progress counts the two steps, the SAN's and the node's.
func progress(s mallee.ModificationState) int {
	switch s {
	case mallee.ModificationOptimizing:
		return 50
	case mallee.ModificationCompleted:
		return 100
	}
	return 0
}

type describeVolumesModificationsIn struct {
	common
	page
	VolumeIDs []string `query:"VolumeId"`
	Filters   []filter `query:"Filter"`
}

func (in describeVolumesModificationsIn) check() error {
	if err := checkIDs(in.VolumeIDs, checkVolumeID); err != nil {
		return err
	}
	if err := modificationFilters().check(in.Filters); err != nil {
		return err
	}
	return modificationPages.check(in.page)
}

func (describeVolumesModificationsIn) filterNames() []string { return modificationFilters().names() }

type describeVolumesModificationsOut struct {
	query.Reply
	Modifications query.Set[modificationItem] `xml:"volumeModificationSet"`
	NextToken     string                      `xml:"nextToken,omitempty"`
}

// describeVolumesModifications lists the latest modification of each volume that
// has had one. To ask for one by its volume's id when there is none is an error.
func (a api) describeVolumesModifications(ctx context.Context, in describeVolumesModificationsIn) (*describeVolumesModificationsOut, error) {
	volumes, err := a.chooseVolumes(ctx, in.VolumeIDs)
	if err != nil {
		return nil, err
	}
	var list []modificationItem
	for _, v := range volumes {
		switch {
		case v.Modification != nil:
			list = append(list, newModificationItem(v))
		case slices.Contains(in.VolumeIDs, string(v.ID)):
			return nil, query.Faultf("InvalidVolumeModification.NotFound", "Modification for volume '%s' does not exist.", v.ID)
		}
	}
	out := &describeVolumesModificationsOut{}
	out.Modifications.Items, out.NextToken = cut(modificationPages, in.page, modificationFilters().apply(list, in.Filters),
		func(m modificationItem) string { return string(m.VolumeID) })
	return out, nil
}

func modificationFilters() filters[modificationItem] {
	one := func(get func(modificationItem) string) func(modificationItem) []string {
		return func(m modificationItem) []string { return []string{get(m)} }
	}
	kind := one(func(m modificationItem) string { return m.TargetType })
	never := one(func(modificationItem) string { return "false" })
	return filters[modificationItem]{fields: map[string]func(modificationItem) []string{
		"modification-state":         one(func(m modificationItem) string { return string(m.State) }),
		"original-size":              one(func(m modificationItem) string { return strconv.Itoa(m.OriginalSize) }),
		"original-volume-type":       kind,
		"originalMultiAttachEnabled": never,
		"start-time":                 one(func(m modificationItem) string { return m.StartTime }),
		"target-size":                one(func(m modificationItem) string { return strconv.Itoa(m.TargetSize) }),
		"target-volume-type":         kind,
		"targetMultiAttachEnabled":   never,
		"volume-id":                  one(func(m modificationItem) string { return string(m.VolumeID) }),
	}}
}
