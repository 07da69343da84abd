// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) volumeCreate() *cobra.Command {
	var spec mallee.VolumeSpec
	var tags []string
	var noWait bool
	cmd := &cobra.Command{
		Use:     "create --partition NAME --size GIB",
		Short:   "Create a volume and print its id",
		Example: "  mallee volume create --partition PARTI00 --size 10\n  mallee volume create --partition PARTI00 --size 10 --tag Name=data --tag team=web",
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if spec.Tags, err = parseTags(tags); err != nil {
				return err
			}
			return cobra.NoArgs(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if spec.Partition == "" || spec.SizeGiB <= 0 {
				return usageError{errors.New("--partition and --size are needed; --size is in GiB and at least 1"), cmd.CommandPath()}
			}
			c, err := t.connect()
			if err != nil {
				return err
			}
			// A request that is sent again must not make a second volume.
			spec.ClientToken = string(mallee.NewRequestID())
			v, err := call(cmd.Context(), func(ctx context.Context) (mallee.Volume, error) { return c.CreateVolume(ctx, spec) })
			if err != nil {
				return failure("create a volume in", spec.Partition, err)
			}
			if !noWait {
				err := t.waitVolume(cmd.Context(), c, v.ID, "creating", func(now mallee.Volume, err error) (bool, string, error) {
					if err == nil {
						v = now
					}
					return untilCreated(now, err)
				})
				if err != nil {
					return waited("create", v.ID, err)
				}
			}
			if err := t.print(recordVolume(v), func() string { return string(v.ID) + "\n" }); err != nil {
				return err
			}
			t.hint("mallee volume attach %s INSTANCE", v.ID)
			return nil
		},
	}
	cmd.Flags().StringVar(&spec.Partition, "partition", "", "partition (availability zone) of the volume")
	cmd.Flags().IntVar(&spec.SizeGiB, "size", 0, "size in GiB")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "KEY=VALUE: give the volume a tag; may be given more than once")
	complete(cmd, "partition", t.words(partitionWords))
	noWaitFlag(cmd, &noWait)
	return cmd
}

func (t *tool) volumeDelete() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:     "delete VOLUME",
		Short:   "Delete a volume and what is on it",
		Example: "  mallee volume delete vol-1a2b3c4d",
		Args:    volumeArgs(1),

		ValidArgsFunction: t.arguments(false, volumeWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			id := mallee.VolumeID(args[0])
			_, err = call(cmd.Context(), func(ctx context.Context) (struct{}, error) { return struct{}{}, c.DeleteVolume(ctx, id) })
			if err != nil {
				return failure("delete", args[0], err)
			}
			if noWait {
				return nil
			}
			return waited("delete", id, t.waitVolume(cmd.Context(), c, id, "deleting", untilDeleted))
		},
	}
	noWaitFlag(cmd, &noWait)
	return cmd
}

func noWaitFlag(cmd *cobra.Command, noWait *bool) {
	cmd.Flags().BoolVar(noWait, "no-wait", false, "return when the request is accepted, not when it is done")
}

// waited names op in what ended the waiting for it; that a person or the clock
// ended it speaks for itself.
func waited(op string, id mallee.VolumeID, err error) error {
	if _, ok := errors.AsType[pendingError](err); ok || err == nil {
		return err
	}
	return failure(op, string(id), err)
}
