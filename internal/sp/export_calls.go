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
	"github.com/mallee-io/mallee/internal/sp/ledger"
)

// ExportVolume implements the admin interface. It makes sure of the kernel's
// state even if the export is known, so that one that could not be restored at
// the start comes back when the storage controller asks again.
func (s *Server) ExportVolume(ctx context.Context, r *spv1.ExportVolumeRequest) (_ *spv1.ExportVolumeResponse, err error) {
	defer s.count("ExportVolume", &err)
	key := ledger.Key{Volume: mallee.VolumeID(r.GetVolumeId()), Initiator: mallee.IQN(r.GetInitiator())}
	if err := check(key); err != nil {
		return nil, err
	}
	chap := mallee.CHAP{Username: r.GetChap().GetUsername(), Password: r.GetChap().GetPassword()}
	if err := lio.CheckCHAP(chap); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%s may not log in: %v", key.Initiator, err)
	}
	end, err := s.turns.take(ctx, key.Volume)
	if err != nil {
		return nil, s.failure(ctx, key.Volume, err)
	}
	defer end()

	contents, err := s.contents(ctx)
	if err != nil {
		return nil, s.failure(ctx, key.Volume, err)
	}
	v, there := find(contents, key.Volume)
	if !there {
		return nil, status.Error(codes.NotFound, "there is no such volume")
	}
	// What is remembered and cannot be established stays remembered, with its LUN,
	// and is not listed; so the storage controller asks again.
	lun, err := s.exports.Add(key, chap, held(r))
	if errors.Is(err, ledger.ErrNoLUN) {
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	if err != nil {
		return nil, s.failure(ctx, key.Volume, err)
	}
	x := ledger.Export{Key: key, LUN: lun}
	isNew, err := s.establish(ctx, v, mapping(x))
	if err != nil {
		return nil, s.failure(ctx, key.Volume, err)
	}
	if isNew {
		s.log.InfoContext(ctx, "volume exported", "volume_id", key.Volume, "initiator", key.Initiator, "lun", lun)
	}
	return &spv1.ExportVolumeResponse{Export: s.exportMessage(x)}, nil
}

// UnexportVolume implements the admin interface. It goes by what the kernel has,
// not by what is remembered, so that nothing is left that could write.
func (s *Server) UnexportVolume(ctx context.Context, r *spv1.UnexportVolumeRequest) (_ *spv1.UnexportVolumeResponse, err error) {
	defer s.count("UnexportVolume", &err)
	key := ledger.Key{Volume: mallee.VolumeID(r.GetVolumeId()), Initiator: mallee.IQN(r.GetInitiator())}
	if err := check(key); err != nil {
		return nil, err
	}
	if r.GetReleasedLun() > ledger.MaxLUN {
		return nil, status.Errorf(codes.InvalidArgument, "LUN %d cannot be released: the highest is %d", r.GetReleasedLun(), ledger.MaxLUN)
	}
	released := uint16(r.GetReleasedLun())
	end, err := s.turns.take(ctx, key.Volume)
	if err != nil {
		return nil, s.failure(ctx, key.Volume, err)
	}
	defer end()

	if err := s.target.Unmap(key.Initiator, string(key.Volume)); err != nil {
		// Part of it may be gone, so that it is not an export that one can use.
		s.exports.setLive(key, false)
		return nil, s.failure(ctx, key.Volume, err)
	}
	// Only now is it forgotten: had we died before, the next start would have
	// mapped it again, and the storage controller would have asked again.
	taken, err := s.exports.TakeBack(key, released)
	if err != nil {
		return nil, s.failure(ctx, key.Volume, err)
	}
	s.exports.setLive(key, false)
	if len(s.exports.Initiators(key.Volume)) == 0 {
		if err := s.target.RemoveBackstore(string(key.Volume)); err != nil {
			return nil, s.failure(ctx, key.Volume, err)
		}
	}
	log := s.log.With("volume_id", key.Volume, "initiator", key.Initiator)
	switch {
	case taken.Retired != 0:
		log.WarnContext(ctx, "volume unexported; its LUN is kept for it, since the node has not confirmed that it has let go", "lun", taken.Retired)
	case taken.Ended:
		log.InfoContext(ctx, "volume unexported", "lun", taken.Freed)
	case taken.Freed != 0:
		log.InfoContext(ctx, "LUN is free again: the node has confirmed that it has let go", "lun", taken.Freed)
	}
	return &spv1.UnexportVolumeResponse{}, nil
}

// ListExports implements the admin interface. It tells what the kernel exports,
// with what is being taken back until that is done; an export that is remembered
// only would otherwise never be asked for again.
func (s *Server) ListExports(_ context.Context, _ *spv1.ListExportsRequest) (_ *spv1.ListExportsResponse, err error) {
	defer s.count("ListExports", &err)
	resp := &spv1.ListExportsResponse{}
	for _, x := range s.exports.established() {
		resp.Exports = append(resp.Exports, s.exportMessage(x))
	}
	for _, x := range s.exports.Retired() {
		resp.Retired = append(resp.Retired, s.exportMessage(x))
	}
	return resp, nil
}

// held returns what the caller knows the initiator to hold, by LUN.
func held(r *spv1.ExportVolumeRequest) map[uint16]mallee.VolumeID {
	all := map[uint16]mallee.VolumeID{}
	for _, seat := range r.GetHeld() {
		if lun := seat.GetLun(); lun <= ledger.MaxLUN {
			all[uint16(lun)] = mallee.VolumeID(seat.GetVolumeId())
		}
	}
	return all
}

func (s *Server) exportMessage(x ledger.Export) *spv1.Export {
	return &spv1.Export{
		VolumeId: string(x.Volume), Initiator: string(x.Initiator), Target: string(s.iqn),
		Lun: uint32(x.LUN), Wwid: string(WWID(x.Volume)), Portals: s.portals,
	}
}
