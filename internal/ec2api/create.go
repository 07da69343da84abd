// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"slices"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// defaultType promises nothing: the pool of a partition decides how fast its
// volumes are.
const defaultType = "standard"

// volumeTypes are those that a volume may be called. gp2 and gp3 are what stock
// tools ask for by themselves, and a tool that compares what it asked for with
// what it got, as Terraform does, must find it again. The others stand for a
// rate that is paid for, which nobody could give here.
var volumeTypes = []string{defaultType, "gp2", "gp3"}

type createVolumeIn struct {
	common
	performance
	AvailabilityZone  string             `query:"AvailabilityZone,required" note:"name of a partition"`
	Size              int                `query:"Size,required" note:"1 to 16384 GiB; always needed, since there are no snapshots"`
	SnapshotID        string             `query:"SnapshotId" note:"refused: no snapshot exists"`
	Encrypted         bool               `query:"Encrypted" note:"only false"`
	KmsKeyID          string             `query:"KmsKeyId" note:"refused, as without Encrypted"`
	ClientToken       string             `query:"ClientToken"`
	TagSpecifications []tagSpecification `query:"TagSpecification" note:"for volume"`
}

func (in createVolumeIn) check() error {
	switch {
	case in.Size < 1:
		return query.Faultf("InvalidParameterValue", "Volume of %dGiB is too small; minimum is 1GiB.", in.Size)
	case in.Size > mallee.MaxSizeGiB:
		return query.Faultf("InvalidParameterValue", "Volume of %dGiB is too large; maximum is %dGiB.", in.Size, mallee.MaxSizeGiB)
	case in.SnapshotID != "":
		return query.Faultf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", in.SnapshotID)
	case in.Encrypted:
		return query.Faultf("UnsupportedOperation", "Value (true) for parameter encrypted is not supported: volumes are not encrypted.")
	case in.KmsKeyID != "":
		return query.Faultf("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	case len(in.ClientToken) > 64:
		return query.BadValue("ClientToken", in.ClientToken, "Expected at most 64 characters.")
	}
	if _, err := volumeTags(in.TagSpecifications); err != nil {
		return err
	}
	return in.performance.check()
}

// performance holds the parameters of CreateVolume and ModifyVolume that say how
// fast a volume is and how many may use it.
type performance struct {
	VolumeType         string `query:"VolumeType" note:"standard, gp2 or gp3, without effect; ModifyVolume changes none"`
	Iops               *int   `query:"Iops" note:"refused"`
	Throughput         *int   `query:"Throughput" note:"refused"`
	MultiAttachEnabled bool   `query:"MultiAttachEnabled" note:"only false"`
}

func (p performance) check() error {
	kind := p.typeOr(defaultType)
	switch {
	case !slices.Contains(volumeTypes, kind):
		return query.Faultf("UnknownVolumeType", "The volume type '%s' is not supported: use standard, gp2 or gp3.", kind)
	case p.Iops != nil:
		return p.refused("Iops", kind)
	case p.Throughput != nil:
		return p.refused("Throughput", kind)
	case p.MultiAttachEnabled:
		return p.refused("MultiAttachEnabled", kind)
	}
	return nil
}

func (p performance) refused(parameter, kind string) error {
	return query.Faultf("InvalidParameterCombination", "The parameter %s is not supported for %s volumes.", parameter, kind)
}

func (p performance) typeOr(fallback string) string {
	if p.VolumeType == "" {
		return fallback
	}
	return p.VolumeType
}

type createVolumeOut struct {
	query.Reply
	volumeItem
}

func (a api) createVolume(ctx context.Context, in createVolumeIn) (*createVolumeOut, error) {
	tags, err := volumeTags(in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	v, err := a.volumes.CreateVolume(ctx, mallee.VolumeSpec{
		Partition: in.AvailabilityZone, SizeGiB: in.Size, Type: in.typeOr(defaultType), ClientToken: in.ClientToken, Tags: tagMap(tags),
	})
	if err != nil {
		return nil, err
	}
	return &createVolumeOut{volumeItem: newVolumeItem(v)}, nil
}
