// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// CreateVolume records the wish for a volume and returns it in the state
// creating. A client token that was used before returns what it made then.
func (c *Controller) CreateVolume(ctx context.Context, spec mallee.VolumeSpec) (mallee.Volume, error) {
	const op = "create a volume in"
	if spec.SizeGiB < 1 || spec.SizeGiB > mallee.MaxSizeGiB {
		return mallee.Volume{}, refuse(op, mallee.Invalid, spec.Partition, "size %d GiB is not within 1 to %d", spec.SizeGiB, mallee.MaxSizeGiB)
	}
	if !mallee.ValidPartition(spec.Partition) {
		return mallee.Volume{}, refuse(op, mallee.NotFound, spec.Partition, "there is no such partition")
	}
	var id mallee.VolumeID
	var r volumeRecord
	var tags tagRecord
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		if spec.ClientToken != "" {
			token, used, err := tokens.Get(tx, tokenID(spec.ClientToken))
			if err != nil {
				return err
			}
			if used {
				if !token.isFor(spec) {
					return refuse(op, mallee.Mismatch, spec.Partition, "client token %q was used for %s, with %d GiB in %s and perhaps another type or other tags",
						spec.ClientToken, token.VolumeID, token.SizeGiB, token.Partition)
				}
				id = token.VolumeID
				if tags, _, err = tagSets.Get(tx, string(id)); err != nil {
					return err
				}
				r, _, err = volumes.Get(tx, string(id))
				return err
			}
		}
		if _, found, err := partitions.Get(tx, spec.Partition); err != nil || !found {
			if err == nil {
				err = refuse(op, mallee.NotFound, spec.Partition, "there is no such partition, or its storage controller has never connected")
			}
			return err
		}
		r = volumeRecord{
			Partition: spec.Partition, SizeGiB: spec.SizeGiB, Type: spec.Type, State: mallee.VolumeCreating,
			Created: time.Now().UTC(), Token: spec.ClientToken, RequestID: telemetry.RequestID(ctx),
		}
		if err := c.checkLimits(ctx, tx, op, spec.Partition, spec.Partition, spec.SizeGiB, spec.SizeGiB); err != nil {
			return err
		}
		if err := c.checkRoom(op, spec.Partition, spec.Partition, spec.SizeGiB, spec.SizeGiB); err != nil {
			return err
		}
		id = mallee.NewVolumeID()
		if tags = spec.Tags; len(tags) > 0 {
			if err := tagSets.Put(tx, string(id), tags); err != nil {
				return err
			}
		}
		if spec.ClientToken != "" {
			token := tokenRecord{VolumeID: id, Partition: spec.Partition, SizeGiB: spec.SizeGiB, Type: spec.Type, Tags: spec.Tags}
			if err := tokens.Put(tx, tokenID(spec.ClientToken), token); err != nil {
				return err
			}
		}
		return volumes.Put(tx, string(id), r)
	})
	if err != nil {
		return mallee.Volume{}, err
	}
	c.log.InfoContext(ctx, "volume wanted", "volume_id", id, "partition", spec.Partition, "size_gib", spec.SizeGiB)
	return r.volume(id, tags), nil
}

// Volumes returns all volumes in the order of their ids, each with its attachment.
func (c *Controller) Volumes(ctx context.Context) ([]mallee.Volume, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return nil, err
	}
	list := make([]mallee.Volume, 0, len(v.volumes))
	for _, id := range slices.Sorted(maps.Keys(v.volumes)) {
		volume := v.volumes[id].volume(mallee.VolumeID(id), v.tags[id])
		if a, ok := v.attachments[id]; ok {
			attachment := a.attachment(volume.ID)
			volume.Attachment = &attachment
			if volume.Message == "" && a.State == mallee.Attached && c.presence.pool(a.Partition).Full() {
				volume.Message = fullMessage(a.Partition)
			}
		}
		list = append(list, volume)
	}
	return list, nil
}

// DeleteVolume records the wish that a volume be gone, also of one that is still
// being created: with a SAN that never answers it would be so for ever. Doing so
// again while it goes is success.
func (c *Controller) DeleteVolume(ctx context.Context, id mallee.VolumeID) error {
	const op = "delete"
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := getVolume(tx, op, id)
		if err != nil {
			return err
		}
		switch r.State {
		case mallee.VolumeDeleting:
			return nil
		case mallee.VolumeInUse:
			a, _, err := attachments.Get(tx, string(id))
			if err != nil {
				return err
			}
			return refuse(op, mallee.InUse, string(id), "it is attached to %s", a.InstanceID)
		}
		r.State, r.Message, r.RequestID = mallee.VolumeDeleting, "", telemetry.RequestID(ctx)
		return volumes.Put(tx, string(id), r)
	})
	if err == nil {
		c.log.InfoContext(ctx, "volume no longer wanted", "volume_id", id)
	}
	return err
}

func getVolume(tx *store.Tx, op string, id mallee.VolumeID) (volumeRecord, error) {
	if !id.Valid() {
		return volumeRecord{}, refuse(op, mallee.Malformed, string(id), "a volume id is vol- and 8 or 17 hexadecimal digits")
	}
	r, found, err := volumes.Get(tx, string(id))
	if err == nil && !found {
		err = refuse(op, mallee.NotFound, string(id), "there is no such volume")
	}
	return r, err
}

// checkRoom refuses a volume of a size for which, with this much more, the pool of
// its partition is too small or has promised too much. Pools are thin, so that
// what is free does not bound what can be promised. The figures may be of some
// seconds ago; the storage controller has the last word.
func (c *Controller) checkRoom(op, id, partition string, sizeGiB, moreGiB int) error {
	pool := c.presence.pool(partition)
	switch {
	case pool == nil:
		return nil
	case gibibytes(sizeGiB) > pool.SizeBytes:
		return refuse(op, mallee.Exhausted, id, "%d GiB is more than the whole pool of partition %s, which has %d GiB", sizeGiB, partition, pool.SizeBytes/mallee.GiB)
	case pool.PromiseLimitBytes > 0 && pool.PromisedBytes+gibibytes(moreGiB) > pool.PromiseLimitBytes:
		return refuse(op, mallee.Exhausted, id, "%d GiB more is beyond what the pool of partition %s may promise: it has promised %d of %d GiB",
			moreGiB, partition, pool.PromisedBytes/mallee.GiB, pool.PromiseLimitBytes/mallee.GiB)
	}
	return nil
}

// isFor reports whether a call with the same token asks for the same.
func (t tokenRecord) isFor(spec mallee.VolumeSpec) bool {
	return t.Partition == spec.Partition && t.SizeGiB == spec.SizeGiB && t.Type == spec.Type && maps.Equal(t.Tags, spec.Tags)
}

// tokenID makes an id for the store of a client token, which may hold anything.
func tokenID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
