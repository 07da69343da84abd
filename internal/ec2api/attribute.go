// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

type describeVolumeAttributeIn struct {
	common
	VolumeID  string `query:"VolumeId,required"`
	Attribute string `query:"Attribute,required" note:"autoEnableIO or productCodes"`
}

func (in describeVolumeAttributeIn) check() error {
	if err := checkVolumeID(in.VolumeID); err != nil {
		return err
	}
	if in.Attribute != "autoEnableIO" && in.Attribute != "productCodes" {
		return query.BadValue("Attribute", in.Attribute, "Expected autoEnableIO or productCodes.")
	}
	return nil
}

type describeVolumeAttributeOut struct {
	query.Reply
	VolumeID     mallee.VolumeID      `xml:"volumeId"`
	AutoEnableIO *bool                `xml:"autoEnableIO>value"`
	ProductCodes *query.Set[struct{}] `xml:"productCodes"`
}

// describeVolumeAttribute answers the same for all volumes: I/O is never turned
// off, and nothing is sold.
func (a api) describeVolumeAttribute(ctx context.Context, in describeVolumeAttributeIn) (*describeVolumeAttributeOut, error) {
	if _, err := a.chooseVolumes(ctx, []string{in.VolumeID}); err != nil {
		return nil, err
	}
	out := &describeVolumeAttributeOut{VolumeID: mallee.VolumeID(in.VolumeID)}
	if in.Attribute == "autoEnableIO" {
		out.AutoEnableIO = new(true)
	} else {
		out.ProductCodes = &query.Set[struct{}]{}
	}
	return out, nil
}
