// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

type describePathsIn struct {
	common
	VolumeIDs []string `query:"VolumeId"`
}

func (in describePathsIn) check() error { return checkIDs(in.VolumeIDs, checkVolumeID) }

type describePathsOut struct {
	query.Reply
	Paths query.Set[pathItem] `xml:"pathSet"`
}

// pathItem is one expected path of an attachment, also one that is not there.
type pathItem struct {
	VolumeID    mallee.VolumeID   `xml:"volumeId"`
	InstanceID  mallee.InstanceID `xml:"instanceId"`
	Text        string            `xml:"text"`
	Interface   string            `xml:"interface"`
	NetDevice   string            `xml:"netDevice"`
	Portal      string            `xml:"portal"`
	State       mallee.PathState  `xml:"state"`
	BlockDevice string            `xml:"blockDevice"`
	Reason      string            `xml:"reason"`
}

// describePaths lists the paths of the volumes asked for, of all when none is. A
// volume that is not attached has no paths; one that does not exist is an error.
func (a api) describePaths(ctx context.Context, in describePathsIn) (*describePathsOut, error) {
	chosen, err := a.chooseVolumes(ctx, in.VolumeIDs)
	if err != nil {
		return nil, err
	}
	paths, err := a.volumes.Paths(ctx)
	if err != nil {
		return nil, err
	}
	asked := map[mallee.VolumeID]bool{}
	for _, v := range chosen {
		asked[v.ID] = true
	}
	out := &describePathsOut{}
	for _, p := range paths {
		if asked[p.VolumeID] {
			out.Paths.Items = append(out.Paths.Items, pathItem{
				VolumeID: p.VolumeID, InstanceID: p.InstanceID, Text: p.Text, Interface: p.Interface, NetDevice: p.NetDevice, Portal: p.Portal,
				State: p.State, BlockDevice: p.BlockDev, Reason: p.Reason,
			})
		}
	}
	return out, nil
}
