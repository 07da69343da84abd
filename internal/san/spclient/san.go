// SPDX-License-Identifier: Apache-2.0

package spclient

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/san"
)

// Info implements san.SAN.
func (c *Client) Info(ctx context.Context) (info san.Info, err error) {
	err = c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		r, err := sp.Info(ctx, &spv1.InfoRequest{})
		info = san.Info{
			Name: r.GetName(), Target: mallee.IQN(r.GetTarget()), Portals: r.GetPortals(),
			PoolSizeBytes: r.GetPoolSizeBytes(), PoolFreeBytes: r.GetPoolFreeBytes(),
			PromisedBytes: r.GetPromisedBytes(), PromiseLimitBytes: r.GetPromiseLimitBytes(),
			MetadataSizeBytes: r.GetMetadataSizeBytes(), MetadataFreeBytes: r.GetMetadataFreeBytes(),
			Alarms: r.GetAlarms(),
		}
		return err
	})
	return info, failure("ask the storage processor", "", err)
}

// CreateVolume implements san.SAN.
func (c *Client) CreateVolume(ctx context.Context, spec san.VolumeSpec) (v san.Volume, err error) {
	err = c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		r, err := sp.CreateVolume(ctx, &spv1.CreateVolumeRequest{VolumeId: string(spec.ID), Name: spec.Name, SizeBytes: spec.SizeBytes})
		v = volume(r.GetVolume())
		return err
	})
	return v, failure("create", spec.ID, err)
}

// DeleteVolume implements san.SAN.
func (c *Client) DeleteVolume(ctx context.Context, id mallee.VolumeID) error {
	return failure("delete", id, c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		_, err := sp.DeleteVolume(ctx, &spv1.DeleteVolumeRequest{VolumeId: string(id)})
		return err
	}))
}

// ResizeVolume implements san.SAN.
func (c *Client) ResizeVolume(ctx context.Context, id mallee.VolumeID, sizeBytes uint64) (v san.Volume, err error) {
	err = c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		r, err := sp.ResizeVolume(ctx, &spv1.ResizeVolumeRequest{VolumeId: string(id), SizeBytes: sizeBytes})
		v = volume(r.GetVolume())
		return err
	})
	return v, failure("grow", id, err)
}

// Volumes implements san.SAN.
func (c *Client) Volumes(ctx context.Context) (all []san.Volume, err error) {
	err = c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		r, err := sp.ListVolumes(ctx, &spv1.ListVolumesRequest{})
		all = nil
		for _, v := range r.GetVolumes() {
			all = append(all, volume(v))
		}
		return err
	})
	slices.SortFunc(all, func(a, b san.Volume) int { return cmp.Compare(a.ID, b.ID) })
	return all, failure("list volumes", "", err)
}

// Export implements san.SAN.
func (c *Client) Export(ctx context.Context, id mallee.VolumeID, initiator mallee.IQN, chap mallee.CHAP, held san.Seats) (e mallee.Export, err error) {
	var seats []*spv1.Seat
	for lun, volume := range held {
		seats = append(seats, &spv1.Seat{VolumeId: string(volume), Lun: uint32(lun)})
	}
	err = c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		r, err := sp.ExportVolume(ctx, &spv1.ExportVolumeRequest{
			VolumeId: string(id), Initiator: string(initiator),
			Chap: &spv1.Chap{Username: chap.Username, Password: chap.Password}, Held: seats,
		})
		e = export(r.GetExport()).Export
		return err
	})
	return e, failure("export", id, err)
}

// Unexport implements san.SAN.
func (c *Client) Unexport(ctx context.Context, id mallee.VolumeID, initiator mallee.IQN, released uint16) error {
	return failure("unexport", id, c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		_, err := sp.UnexportVolume(ctx, &spv1.UnexportVolumeRequest{VolumeId: string(id), Initiator: string(initiator), ReleasedLun: uint32(released)})
		return err
	}))
}

// Exports implements san.SAN.
func (c *Client) Exports(ctx context.Context) (all, retired []san.Export, err error) {
	err = c.try(ctx, func(ctx context.Context, sp spv1.StorageProcessorClient) error {
		r, err := sp.ListExports(ctx, &spv1.ListExportsRequest{})
		all, retired = exports(r.GetExports()), exports(r.GetRetired())
		return err
	})
	return all, retired, failure("list exports", "", err)
}

// exports returns what was listed, sorted.
func exports(list []*spv1.Export) (all []san.Export) {
	for _, e := range list {
		all = append(all, export(e))
	}
	slices.SortFunc(all, func(a, b san.Export) int {
		return cmp.Or(cmp.Compare(a.VolumeID, b.VolumeID), cmp.Compare(a.Initiator, b.Initiator))
	})
	return all
}

func volume(v *spv1.Volume) san.Volume {
	return san.Volume{
		ID: mallee.VolumeID(v.GetVolumeId()), Name: v.GetName(), SizeBytes: v.GetSizeBytes(), WWID: mallee.WWID(v.GetWwid()),
	}
}

func export(e *spv1.Export) san.Export {
	return san.Export{
		VolumeID: mallee.VolumeID(e.GetVolumeId()), Initiator: mallee.IQN(e.GetInitiator()),
		Export: mallee.Export{
			Target: mallee.IQN(e.GetTarget()), LUN: uint16(e.GetLun()), WWID: mallee.WWID(e.GetWwid()), Portals: e.GetPortals(),
		},
	}
}

// kinds says what the codes of api/sp/v1 mean.
var kinds = map[codes.Code]mallee.Kind{
	codes.InvalidArgument:    mallee.Invalid,
	codes.NotFound:           mallee.NotFound,
	codes.AlreadyExists:      mallee.Mismatch,
	codes.FailedPrecondition: mallee.InUse,
	codes.ResourceExhausted:  mallee.Exhausted,
	codes.PermissionDenied:   mallee.Denied,
	codes.Unauthenticated:    mallee.Denied,
	codes.Unavailable:        mallee.Unavailable,
	codes.DeadlineExceeded:   mallee.Unavailable,
	codes.Canceled:           mallee.Unavailable,
}

// failure turns what a call returned into the error that san.SAN promises.
func failure(op string, id mallee.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	kind, known := kinds[status.Code(err)]
	if !known {
		kind = mallee.Internal
	}
	return &mallee.Error{Op: op, Kind: kind, ID: string(id), Err: errors.New(message(err))}
}

// message returns the SAN's own words, which are in the status: interceptors of the
// connection may have wrapped it in words of theirs.
func message(err error) string {
	if s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return s.GRPCStatus().Message()
	}
	return err.Error()
}
