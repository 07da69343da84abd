// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/lio"
)

// ExportVolume implements the admin interface. It makes sure of the kernel's
// state even if the export is known, so that one that could not be restored at
// the start comes back when the storage controller asks again.
func (s *Server) ExportVolume(ctx context.Context, r *spv1.ExportVolumeRequest) (_ *spv1.ExportVolumeResponse, err error) {
	defer s.count("ExportVolume", &err)
	key := exportKey{mallee.VolumeID(r.GetVolumeId()), mallee.IQN(r.GetInitiator())}
	if err := key.check(); err != nil {
		return nil, err
	}
	chap := mallee.CHAP{Username: r.GetChap().GetUsername(), Password: r.GetChap().GetPassword()}
	if err := lio.CheckCHAP(chap); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%s may not log in: %v", key.initiator, err)
	}
	end, err := s.turns.take(ctx, key.volume)
	if err != nil {
		return nil, s.failure(ctx, key.volume, err)
	}
	defer end()

	contents, err := s.contents(ctx)
	if err != nil {
		return nil, s.failure(ctx, key.volume, err)
	}
	v, there := find(contents, key.volume)
	if !there {
		return nil, status.Error(codes.NotFound, "there is no such volume")
	}
	// What is remembered and cannot be established stays remembered, with its LUN,
	// and is not listed; so the storage controller asks again.
	lun, err := s.exports.add(key, chap)
	if errors.Is(err, errNoLUN) {
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	if err != nil {
		return nil, s.failure(ctx, key.volume, err)
	}
	m := lio.Mapping{Initiator: key.initiator, LUN: lun, Backstore: v.ID}
	isNew, err := s.establish(ctx, v, m)
	if err != nil {
		return nil, s.failure(ctx, key.volume, err)
	}
	if isNew {
		s.log.InfoContext(ctx, "volume exported", "volume_id", key.volume, "initiator", key.initiator, "lun", lun)
	}
	return &spv1.ExportVolumeResponse{Export: s.exportMessage(m)}, nil
}

// UnexportVolume implements the admin interface. It goes by what the kernel has,
// not by what is remembered, so that nothing is left that could write.
func (s *Server) UnexportVolume(ctx context.Context, r *spv1.UnexportVolumeRequest) (_ *spv1.UnexportVolumeResponse, err error) {
	defer s.count("UnexportVolume", &err)
	key := exportKey{mallee.VolumeID(r.GetVolumeId()), mallee.IQN(r.GetInitiator())}
	if err := key.check(); err != nil {
		return nil, err
	}
	end, err := s.turns.take(ctx, key.volume)
	if err != nil {
		return nil, s.failure(ctx, key.volume, err)
	}
	defer end()

	if err := s.target.Unmap(key.initiator, string(key.volume)); err != nil {
		// Part of it may be gone, so that it is not an export that one can use.
		s.exports.setLive(key, false)
		return nil, s.failure(ctx, key.volume, err)
	}
	// Only now is it forgotten: had we died before, the next start would have
	// mapped it again, and the storage controller would have asked again.
	was, err := s.exports.remove(key)
	if err != nil {
		return nil, s.failure(ctx, key.volume, err)
	}
	if len(s.exports.initiators(key.volume)) == 0 {
		if err := s.target.RemoveBackstore(string(key.volume)); err != nil {
			return nil, s.failure(ctx, key.volume, err)
		}
	}
	if was {
		s.log.InfoContext(ctx, "volume unexported", "volume_id", key.volume, "initiator", key.initiator)
	}
	return &spv1.UnexportVolumeResponse{}, nil
}

// ListExports implements the admin interface. It tells what the kernel exports,
// with what is being taken back until that is done; an export that is remembered
// only would otherwise never be asked for again.
func (s *Server) ListExports(_ context.Context, _ *spv1.ListExportsRequest) (_ *spv1.ListExportsResponse, err error) {
	defer s.count("ListExports", &err)
	resp := &spv1.ListExportsResponse{}
	for _, m := range s.exports.established() {
		resp.Exports = append(resp.Exports, s.exportMessage(m))
	}
	return resp, nil
}

func (k exportKey) check() error {
	if !k.volume.Valid() {
		return invalidID(k.volume)
	}
	if !k.initiator.Valid() {
		return status.Errorf(codes.InvalidArgument, "%q is no initiator name of the form iqn.yyyy-mm.domain:name", k.initiator)
	}
	return nil
}

func (s *Server) exportMessage(m lio.Mapping) *spv1.Export {
	return &spv1.Export{
		VolumeId: m.Backstore, Initiator: string(m.Initiator), Target: string(s.iqn),
		Lun: uint32(m.LUN), Wwid: string(WWID(mallee.VolumeID(m.Backstore))), Portals: s.portals,
	}
}
