// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
)

// checkLimits refuses a volume of a size for which, with this much more, the
// partition would have more than its properties allow. Id is what the error names.
//
// It rewrites the partition's record, as every change of a property does: of two
// calls that would be too much together, the second is tried again and refused,
// and so is one that goes by a limit which was lowered meanwhile.
func (c *Controller) checkLimits(ctx context.Context, tx *store.Tx, op, id, partition string, sizeGiB, moreGiB int) error {
	r, _, err := partitions.Get(tx, partition)
	if err != nil {
		return err
	}
	v, err := readView(ctx, c.store)
	if err != nil {
		return err
	}
	settings := v.settings(partition)
	raise := func(property string, giB int) string {
		return fmt.Sprintf("to allow it: mallee property set %s.%s %d", partition, property, giB)
	}
	if most := number(settings[mallee.PropertyMaxVolumeGiB]); sizeGiB > most {
		return &mallee.Error{
			Op: op, Kind: mallee.Invalid, ID: id, Hint: raise(mallee.PropertyMaxVolumeGiB, sizeGiB),
			Err: fmt.Errorf("%d GiB is too large: %s.%s allows %d GiB for a volume", sizeGiB, partition, mallee.PropertyMaxVolumeGiB, most),
		}
	}
	have := v.totalGiB(partition)
	if most := number(settings[mallee.PropertyMaxTotalGiB]); have+moreGiB > most {
		return &mallee.Error{
			Op: op, Kind: mallee.OverLimit, ID: id, Hint: "delete volumes, or " + raise(mallee.PropertyMaxTotalGiB, have+moreGiB),
			Err: fmt.Errorf("%d GiB more is too much: the volumes of the partition have %d GiB, and %s.%s allows %d GiB in all",
				moreGiB, have, partition, mallee.PropertyMaxTotalGiB, most),
		}
	}
	return partitions.Put(tx, partition, r)
}

// totalGiB returns the sizes of a partition's volumes together, of those that are
// to grow the size that they are to have. A volume in the state error was not made.
func (v *view) totalGiB(partition string) int {
	total := 0
	for _, r := range v.volumes {
		if r.Partition != partition || r.State == mallee.VolumeError {
			continue
		}
		if total += r.SizeGiB; r.Growth.State == mallee.ModificationModifying {
			total += r.Growth.TargetGiB - r.SizeGiB
		}
	}
	return total
}
