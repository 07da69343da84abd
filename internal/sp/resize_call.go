// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/lvm"
)

// ResizeVolume implements the admin interface. LIO needs not be told: an iblock
// backstore asks its device for the size whenever an initiator asks
// (drivers/target/target_core_iblock.c, iblock_get_blocks). Initiators are not told
// either, and look again when their node is told to.
func (s *Server) ResizeVolume(ctx context.Context, r *spv1.ResizeVolumeRequest) (_ *spv1.ResizeVolumeResponse, err error) {
	defer s.count("ResizeVolume", &err)
	id, size := mallee.VolumeID(r.GetVolumeId()), r.GetSizeBytes()
	if !id.Valid() {
		return nil, invalidID(id)
	}
	if err := checkSize(size); err != nil {
		return nil, err
	}
	contents, end, err := s.begin(ctx, id)
	if err != nil {
		return nil, s.failure(ctx, id, err)
	}
	defer end()

	v, there := find(contents, id)
	switch {
	case !there:
		return nil, status.Error(codes.NotFound, "there is no such volume")
	case v.SizeBytes >= size:
		if err := s.mend(ctx, v); err != nil {
			return nil, s.failure(ctx, id, err)
		}
		return &spv1.ResizeVolumeResponse{Volume: message(v)}, nil
	}
	if err := s.promise(contents, size, size-v.SizeBytes); err != nil {
		return nil, err
	}
	if err := s.volumes.Resize(ctx, v.Name, size); err != nil {
		return nil, s.failure(ctx, id, err)
	}
	s.log.InfoContext(ctx, "volume grown", "volume_id", id, "size_bytes", size, "old_size_bytes", v.SizeBytes)
	v.SizeBytes = size
	return &spv1.ResizeVolumeResponse{Volume: message(v)}, nil
}

// begin takes the turns for a call that may promise more to a volume, and looks at
// the pool. lvm does one change at a time anyhow.
func (s *Server) begin(ctx context.Context, id mallee.VolumeID) (c lvm.Contents, end func(), err error) {
	endVolume, err := s.turns.take(ctx, id)
	if err != nil {
		return c, nil, err
	}
	endPromise, err := s.turns.take(ctx, promising)
	if err != nil {
		endVolume()
		return c, nil, err
	}
	end = func() { endPromise(); endVolume() }
	if c, err = s.contents(ctx); err != nil {
		end()
		return c, nil, err
	}
	return c, end, nil
}

// mend ends what a tool began that was killed while it changed a volume's device.
func (s *Server) mend(ctx context.Context, v lvm.Volume) error {
	if !v.Torn {
		return nil
	}
	s.log.WarnContext(ctx, "device of a volume is not as recorded, since a change of it was cut off: refreshing it", "volume_id", v.ID)
	return s.volumes.Refresh(ctx, v.Name)
}
