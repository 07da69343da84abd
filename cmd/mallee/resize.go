// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) volumeResize() *cobra.Command {
	var size int
	var noWait bool
	cmd := &cobra.Command{
		Use:   "resize VOLUME --size GIB",
		Short: "Grow a volume, also while it is used",
		Long: `Grow a volume, also while it is used, and wait until its device on the node has
grown. A volume does not shrink. The file system on it is its owner's to grow.`,
		Example: "  mallee volume resize vol-1a2b3c4d --size 20",
		Args:    volumeArgs(1),

		ValidArgsFunction: t.arguments(false, volumeWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			if size <= 0 {
				return usageError{errors.New("--size is needed; it is in GiB and more than the volume has"), cmd.CommandPath()}
			}
			c, err := t.connect()
			if err != nil {
				return err
			}
			id := mallee.VolumeID(args[0])
			m, err := call(cmd.Context(), func(ctx context.Context) (mallee.Modification, error) { return c.ResizeVolume(ctx, id, size) })
			if err != nil {
				return failure("resize", args[0], err)
			}
			next := "grow what is on it: resize2fs, xfs_growfs or lvm's pvresize, where it is attached"
			if noWait {
				next = "see how it grows: mallee volume show " + args[0] + " --watch"
			} else {
				doing := fmt.Sprintf("growing from %d to %d GiB", m.OriginalGiB, m.TargetGiB)
				err := t.wait(cmd.Context(), id, doing, func(ctx context.Context) (bool, string, error) {
					now, err := c.Modification(ctx, id)
					return untilGrown(&m, now, err)
				})
				if err != nil {
					return waited("resize", id, err)
				}
			}
			err = t.print(recordModification(m), func() string { return fmt.Sprintf("%s: %d GiB was %d GiB\n", id, m.TargetGiB, m.OriginalGiB) })
			if err != nil {
				return err
			}
			t.hint("%s", next)
			return nil
		},
	}
	cmd.Flags().IntVar(&size, "size", 0, "size in GiB that the volume shall have")
	noWaitFlag(cmd, &noWait)
	return cmd
}

// untilGrown is done when the volume has grown, and with it its node's device. It
// stores the modification as it is now.
func untilGrown(seen, now *mallee.Modification, err error) (bool, string, error) {
	if err != nil {
		return false, "", err
	}
	if now == nil {
		return false, "", nil // the cloud has not begun
	}
	*seen = *now
	switch now.State {
	case mallee.ModificationCompleted:
		return true, "", nil
	case mallee.ModificationFailed:
		return false, "", fmt.Errorf("it has the size that it had: %s", now.Message)
	case mallee.ModificationOptimizing:
		if now.Message == "" {
			return false, "its node does not see it yet", nil
		}
	}
	return false, now.Message, nil
}
