// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/lvm"
)

// Info implements the admin interface.
func (s *Server) Info(ctx context.Context, _ *spv1.InfoRequest) (_ *spv1.InfoResponse, err error) {
	defer s.count("Info", &err)
	contents, err := s.contents(ctx)
	if err != nil {
		return nil, s.failure(ctx, "", err)
	}
	resp := &spv1.InfoResponse{
		Name: s.name, Target: string(s.iqn), Portals: s.portals,
		PoolSizeBytes: contents.SizeBytes, PoolFreeBytes: contents.FreeBytes,
		PromisedBytes: promised(contents), PromiseLimitBytes: s.promiseLimit(contents),
		MetadataSizeBytes: contents.MetadataSizeBytes, MetadataFreeBytes: contents.MetadataFreeBytes,
	}
	for _, a := range s.alarms(contents) {
		resp.Alarms = append(resp.Alarms, a.text)
	}
	return resp, nil
}

// CreateVolume implements the admin interface.
func (s *Server) CreateVolume(ctx context.Context, r *spv1.CreateVolumeRequest) (_ *spv1.CreateVolumeResponse, err error) {
	defer s.count("CreateVolume", &err)
	id, size := mallee.VolumeID(r.GetVolumeId()), r.GetSizeBytes()
	if !id.Valid() {
		return nil, invalidID(id)
	}
	if ambiguous(id) {
		return nil, status.Errorf(codes.InvalidArgument, "ids that begin with vol-%s would look like shorter ones on the SAN: take another", filler)
	}
	if err := checkSize(size); err != nil {
		return nil, err
	}
	contents, end, err := s.begin(ctx, id)
	if err != nil {
		return nil, s.failure(ctx, id, err)
	}
	defer end()

	if v, there := find(contents, id); there {
		if v.SizeBytes != size {
			return nil, status.Errorf(codes.AlreadyExists, "it exists with %d bytes instead of %d", v.SizeBytes, size)
		}
		return &spv1.CreateVolumeResponse{Volume: message(v)}, nil
	}
	if err := s.promise(contents, size, size); err != nil {
		return nil, err
	}
	v := lvm.Volume{ID: string(id), Name: cmp.Or(r.GetName(), string(id)), SizeBytes: size}
	switch err := s.volumes.Create(ctx, v.ID, v.Name, size); {
	case errors.Is(err, lvm.ErrName):
		return nil, status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, lvm.ErrExists):
		return nil, status.Errorf(codes.FailedPrecondition,
			"its name would be %s, which something else in the volume group has: set storage.resourceprefix or storage.resourcesuffix to something else", v.Name)
	case err != nil:
		return nil, s.failure(ctx, id, err)
	}
	s.log.InfoContext(ctx, "volume created", "volume_id", id, "name", v.Name, "size_bytes", size)
	return &spv1.CreateVolumeResponse{Volume: message(v)}, nil
}

// DeleteVolume implements the admin interface.
func (s *Server) DeleteVolume(ctx context.Context, r *spv1.DeleteVolumeRequest) (_ *spv1.DeleteVolumeResponse, err error) {
	defer s.count("DeleteVolume", &err)
	id := mallee.VolumeID(r.GetVolumeId())
	if !id.Valid() {
		return nil, invalidID(id)
	}
	end, err := s.turns.take(ctx, id)
	if err != nil {
		return nil, s.failure(ctx, id, err)
	}
	defer end()

	// An export that nobody wants any more is told by name, so that it can be
	// taken back: the volume could not be deleted otherwise.
	if to := s.exports.Initiators(id); len(to) > 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "it is exported to %s", strings.Join(to, ", "))
	}
	// A backstore that a broken off Unexport left would hold the device open.
	if err := s.target.RemoveBackstore(string(id)); err != nil {
		return nil, s.failure(ctx, id, err)
	}
	contents, err := s.contents(ctx)
	if err != nil {
		return nil, s.failure(ctx, id, err)
	}
	v, there := find(contents, id)
	if !there {
		return &spv1.DeleteVolumeResponse{}, nil
	}
	switch err := s.volumes.Remove(ctx, v.Name); {
	case errors.Is(err, lvm.ErrNotFound):
		return &spv1.DeleteVolumeResponse{}, nil
	case err != nil:
		return nil, s.failure(ctx, id, err)
	}
	s.log.InfoContext(ctx, "volume deleted", "volume_id", id)
	return &spv1.DeleteVolumeResponse{}, nil
}

// ListVolumes implements the admin interface.
func (s *Server) ListVolumes(ctx context.Context, _ *spv1.ListVolumesRequest) (_ *spv1.ListVolumesResponse, err error) {
	defer s.count("ListVolumes", &err)
	contents, err := s.contents(ctx)
	if err != nil {
		return nil, s.failure(ctx, "", err)
	}
	resp := &spv1.ListVolumesResponse{}
	for _, v := range contents.Volumes {
		if mallee.VolumeID(v.ID).Valid() {
			resp.Volumes = append(resp.Volumes, message(v))
		}
	}
	return resp, nil
}

func checkSize(size uint64) error {
	if size == 0 || size%mallee.GiB != 0 {
		return status.Errorf(codes.InvalidArgument, "a size of %d bytes is no positive multiple of 1 GiB", size)
	}
	return nil
}

func find(c lvm.Contents, id mallee.VolumeID) (lvm.Volume, bool) {
	for _, v := range c.Volumes {
		if v.ID == string(id) {
			return v, true
		}
	}
	return lvm.Volume{}, false
}

func message(v lvm.Volume) *spv1.Volume {
	return &spv1.Volume{VolumeId: v.ID, Name: v.Name, SizeBytes: v.SizeBytes, Wwid: string(WWID(mallee.VolumeID(v.ID)))}
}
