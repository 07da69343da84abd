// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// errStale ends a transaction that a report has no part in: it is about what is
// not there any more, or not the caller's.
var errStale = errors.New("the report is about something else")

func dropStale(err error) error {
	if errors.Is(err, errStale) {
		return nil
	}
	return err
}

// volumeReported takes what the storage controller of a partition says of a volume.
func (c *Controller) volumeReported(ctx context.Context, partition string, report *cloudv1.VolumeReport) error {
	id := report.GetVolumeId()
	if !mallee.VolumeID(id).Valid() {
		return nil
	}
	var before, after volumeRecord
	var gone bool
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		var found bool
		var err error
		if before, found, err = volumes.Get(tx, id); err != nil {
			return err
		}
		if !found || before.Partition != partition {
			return errStale
		}
		twin := ""
		if before.State == mallee.VolumeCreating && report.GetPresent() {
			if twin, err = c.twin(ctx, id, mallee.WWID(report.GetWwid())); err != nil {
				return err
			}
		}
		now := time.Now().UTC()
		if after, gone = before.step(report, twin, now); gone {
			return deleteVolume(tx, id, before)
		}
		if after.Growth.State == mallee.ModificationOptimizing {
			device, err := deviceBytes(tx, id)
			if err != nil {
				return err
			}
			after = after.settled(device, now)
		}
		if after == before {
			return nil
		}
		return volumes.Put(tx, id, after)
	})
	ctx = telemetry.WithRequestID(ctx, before.RequestID)
	switch {
	case err != nil:
	case gone:
		c.log.InfoContext(ctx, "volume gone", "volume_id", id)
	case after != before:
		c.log.InfoContext(ctx, "volume changed", "volume_id", id, "state", after.State, "message", after.Message,
			"size_gib", after.SizeGiB, "modification_state", after.Growth.State)
	}
	return dropStale(err)
}

// deviceBytes returns the size of the device that a volume is on a node, and the
// largest number when it is on none: then there is nothing to wait for.
func deviceBytes(tx *store.Tx, id string) (uint64, error) {
	a, attached, err := attachments.Get(tx, id)
	if err != nil || attached {
		return a.DeviceBytes, err
	}
	return math.MaxUint64, nil
}

func deleteVolume(tx *store.Tx, id string, r volumeRecord) error {
	if r.Token != "" {
		if err := tokens.Delete(tx, tokenID(r.Token)); err != nil {
			return err
		}
	}
	if err := tagSets.Delete(tx, id); err != nil {
		return err
	}
	return volumes.Delete(tx, id)
}

// twin returns the id of another volume that has a WWID, or "".
func (c *Controller) twin(ctx context.Context, id string, wwid mallee.WWID) (string, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return "", err
	}
	for other, r := range v.volumes {
		if other != id && r.WWID == wwid {
			return other, nil
		}
	}
	return "", nil
}

// exportReported takes what the storage controller of a partition says of an export.
func (c *Controller) exportReported(ctx context.Context, partition string, report *cloudv1.ExportReport) error {
	id := report.GetVolumeId()
	if !mallee.VolumeID(id).Valid() {
		return nil
	}
	var before, after attachmentRecord
	var gone bool
	var refused error
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		var found bool
		var err error
		if before, found, err = attachments.Get(tx, id); err != nil {
			return err
		}
		if !found || before.Partition != partition || before.Generation != report.GetGeneration() ||
			string(before.InstanceID) != report.GetInstanceId() {
			return errStale
		}
		r, found, err := volumes.Get(tx, id)
		if err != nil {
			return err
		}
		if !found {
			return errStale
		}
		after, gone, refused = before.stepExport(report, r.WWID)
		if gone {
			r.State = mallee.VolumeAvailable
			r = r.settled(math.MaxUint64, time.Now().UTC())
			if err := volumes.Put(tx, id, r); err != nil {
				return err
			}
			return attachments.Delete(tx, id)
		}
		if after == before {
			return nil
		}
		return attachments.Put(tx, id, after)
	})
	if err != nil {
		return dropStale(err)
	}
	ctx = telemetry.WithRequestID(ctx, before.RequestID)
	log := c.log.With("volume_id", id, "instance_id", before.InstanceID, "generation", before.Generation)
	switch {
	case refused != nil:
		log.ErrorContext(ctx, "export refused", "error", refused)
	case gone:
		log.InfoContext(ctx, "volume detached")
	case after != before:
		log.InfoContext(ctx, "export changed", "exported", after.Export != nil, "message", after.Message)
	}
	return nil
}

// attachmentReported takes what a node says of an attachment. What is not that
// node's is passed over.
func (c *Controller) attachmentReported(ctx context.Context, node string, report *cloudv1.AttachmentReport) error {
	id := report.GetVolumeId()
	if !mallee.VolumeID(id).Valid() {
		return nil
	}
	var before, after attachmentRecord
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		r, known, err := nodes.Get(tx, node)
		if err != nil {
			return err
		}
		var found bool
		if before, found, err = attachments.Get(tx, id); err != nil {
			return err
		}
		if !known || !found || before.InstanceID != r.InstanceID || before.Generation != report.GetGeneration() {
			return errStale
		}
		after = before.stepNode(report)
		if after == before {
			return nil
		}
		if after.DeviceBytes != before.DeviceBytes {
			if err := settleVolume(tx, id, after.DeviceBytes); err != nil {
				return err
			}
		}
		return attachments.Put(tx, id, after)
	})
	if err != nil {
		return dropStale(err)
	}
	ctx = telemetry.WithRequestID(ctx, before.RequestID)
	c.paths.put(id, newPathReport(before.InstanceID, report))
	if after != before {
		c.log.InfoContext(ctx, "attachment changed", "volume_id", id, "instance_id", before.InstanceID, "generation", before.Generation,
			"state", after.State, "released", after.Released, "message", after.Message)
	}
	return nil
}

// settleVolume ends the growth of a volume that has reached its device.
func settleVolume(tx *store.Tx, id string, device uint64) error {
	before, found, err := volumes.Get(tx, id)
	if err != nil || !found {
		return err
	}
	after := before.settled(device, time.Now().UTC())
	if after == before {
		return nil
	}
	return volumes.Put(tx, id, after)
}
