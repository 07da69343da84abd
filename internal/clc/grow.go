// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// A volume grows in two steps. Modifying: the storage controller is told the
// size, until the SAN has it or says that it never will. Optimizing: the SAN has
// it, the device on the node does not yet. A volume that is not attached skips
// the second.

// GrowVolume records the wish that a volume be larger and returns it with its
// modification.
func (c *Controller) GrowVolume(ctx context.Context, id mallee.VolumeID, sizeGiB int) (mallee.Volume, error) {
	const op = "grow"
	var r volumeRecord
	var tags tagRecord
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if r, err = getVolume(tx, op, id); err != nil {
			return err
		}
		if tags, _, err = tagSets.Get(tx, string(id)); err != nil {
			return err
		}
		switch {
		case r.State != mallee.VolumeAvailable && r.State != mallee.VolumeInUse:
			return refuse(op, mallee.IncorrectState, string(id), "its state is %s and has to be %s or %s", r.State, mallee.VolumeAvailable, mallee.VolumeInUse)
		case r.Growth.underWay():
			return refuse(op, mallee.Modifying, string(id), "it cannot be modified in modification state %s: it is growing to %d GiB", r.Growth.State, r.Growth.TargetGiB)
		case sizeGiB > mallee.MaxSizeGiB:
			return refuse(op, mallee.Invalid, string(id), "size %d GiB is more than %d", sizeGiB, mallee.MaxSizeGiB)
		case sizeGiB < r.SizeGiB:
			return refuse(op, mallee.Invalid, string(id), "new size cannot be smaller than existing size: %d GiB is less than %d", sizeGiB, r.SizeGiB)
		case sizeGiB == r.SizeGiB:
			return refuse(op, mallee.Invalid, string(id), "new size has to be larger than existing size: it has %d GiB", r.SizeGiB)
		}
		if err := c.checkLimits(ctx, tx, op, string(id), r.Partition, sizeGiB, sizeGiB-r.SizeGiB); err != nil {
			return err
		}
		if err := c.checkRoom(op, string(id), r.Partition, sizeGiB, sizeGiB-r.SizeGiB); err != nil {
			return err
		}
		r.Growth = growth{State: mallee.ModificationModifying, OriginalGiB: r.SizeGiB, TargetGiB: sizeGiB, Started: time.Now().UTC()}
		r.RequestID = telemetry.RequestID(ctx)
		return volumes.Put(tx, string(id), r)
	})
	if err != nil {
		return mallee.Volume{}, err
	}
	c.log.InfoContext(ctx, "larger volume wanted", "volume_id", id, "size_gib", r.SizeGiB, "target_gib", sizeGiB)
	return r.volume(id, tags), nil
}

func (g growth) underWay() bool {
	return g.State == mallee.ModificationModifying || g.State == mallee.ModificationOptimizing
}

// wish is what the storage controller is told as grow_to_bytes.
func (g growth) wish() uint64 {
	if g.State != mallee.ModificationModifying {
		return 0
	}
	return gibibytes(g.TargetGiB)
}

// grown returns the volume as it is after a report of the size that the SAN has
// made it. A growth that had failed counts when the SAN has made it all the
// same: the word that it cannot may have been about an earlier wish. So does one
// that the records know nothing of, since a backup from before it was restored.
func (r volumeRecord) grown(bytes uint64, failed bool, message string, now time.Time) volumeRecord {
	g := &r.Growth
	wished := g.State == mallee.ModificationModifying
	switch {
	case (wished || g.State == mallee.ModificationFailed) && bytes >= gibibytes(g.TargetGiB):
		r.SizeGiB = g.TargetGiB
		g.State, g.Message, g.Ended = mallee.ModificationOptimizing, "", time.Time{}
	case wished:
		g.Message = message
		if failed {
			g.State, g.Ended = mallee.ModificationFailed, now
		}
	case bytes >= gibibytes(r.SizeGiB+1) && !g.underWay():
		r.SizeGiB = int(bytes / mallee.GiB)
	}
	return r
}

// settled returns the volume after its growth has reached the device, which has
// this many bytes; all, when there is no device to reach.
func (r volumeRecord) settled(device uint64, now time.Time) volumeRecord {
	if r.Growth.State == mallee.ModificationOptimizing && device >= r.bytes() {
		r.Growth.State, r.Growth.Ended = mallee.ModificationCompleted, now
	}
	return r
}
