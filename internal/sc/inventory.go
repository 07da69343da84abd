// SPDX-License-Identifier: Apache-2.0

package sc

import (
	"context"
	"math"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/san"
)

// lookTimeout bounds looking at a SAN whose addresses are partly dead.
const lookTimeout = time.Minute

// inventory is what the SAN holds at one moment.
type inventory struct {
	volumes map[key]san.Volume
	exports map[key]san.Export
	retired []san.Export // LUNs that are kept from other volumes
	pool    *cloudv1.Pool
	target  mallee.IQN
	portals []string // that the SAN advertises
}

func take(ctx context.Context, s san.SAN) (*inventory, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	info, err := s.Info(ctx)
	if err != nil {
		return nil, err
	}
	volumes, err := s.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	exports, retired, err := s.Exports(ctx)
	if err != nil {
		return nil, err
	}
	have := &inventory{
		volumes: map[key]san.Volume{}, exports: map[key]san.Export{}, retired: retired,
		target: info.Target, portals: info.Portals,
		pool: &cloudv1.Pool{
			SizeBytes: info.PoolSizeBytes, FreeBytes: info.PoolFreeBytes,
			PromisedBytes: info.PromisedBytes, PromiseLimitBytes: info.PromiseLimitBytes,
			MetadataSizeBytes: info.MetadataSizeBytes, MetadataFreeBytes: info.MetadataFreeBytes,
			Alarms: info.Alarms,
		},
	}
	for _, v := range volumes {
		have.volumes[key{volume: string(v.ID)}] = v
	}
	for _, e := range exports {
		have.exports[key{string(e.VolumeID), string(e.Initiator)}] = e
	}
	return have, nil
}

// lun returns the LUN of this SAN that a node was told for an export, 0 for none: what
// it was told of another SAN says nothing of this one's LUNs.
func (have *inventory) lun(d *cloudv1.DesiredExport) uint16 {
	e := d.GetExport()
	if e.GetTarget() != string(have.target) || e.GetLun() > math.MaxUint16 {
		return 0
	}
	return uint16(e.GetLun())
}

// logStrange tells, once each, of what the SAN holds and no wish names. It is
// not removed: the state may be an old one, or the SAN shared.
func (r *reconciler) logStrange(ctx context.Context, have *inventory) {
	found := map[key]bool{}
	for k := range have.volumes {
		found[k] = true
	}
	for k := range have.exports {
		found[k] = true
	}
	for _, d := range r.want.GetVolumes() {
		delete(found, key{volume: d.GetVolumeId()})
	}
	for _, d := range r.want.GetExports() {
		delete(found, key{d.GetVolumeId(), d.GetInitiator()})
	}
	for k := range found {
		if r.strange[k] {
			continue
		}
		if k.initiator == "" {
			r.options.Log.WarnContext(ctx, "the SAN holds a volume that the cloud does not know: left alone", "volume_id", k.volume)
		} else {
			r.options.Log.WarnContext(ctx, "the SAN has an export that the cloud does not know: left alone", "volume_id", k.volume, "initiator", k.initiator)
		}
	}
	r.strange = found
}
