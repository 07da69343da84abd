// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) volumeAttach() *cobra.Command {
	var device string
	var noWait bool
	cmd := &cobra.Command{
		Use:   "attach VOLUME INSTANCE",
		Short: "Attach a volume to a node and print its device there",
		Long: `Attach a volume to a node and print the device it is on that node.

The volume can be used as soon as one path to it is verified; the other paths
join while it is used. See them with mallee path list.`,
		Example: "  mallee volume attach vol-1a2b3c4d i-0f1e2d3c\n  mallee volume attach vol-1a2b3c4d i-0f1e2d3c --device /dev/sdg --no-wait",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := volumeArgs(2)(cmd, args); err != nil {
				return err
			}
			if !mallee.InstanceID(args[1]).Valid() {
				return fmt.Errorf("%q is no instance id: write i- and 8 or 17 hexadecimal digits", args[1])
			}
			return nil
		},
		ValidArgsFunction: t.arguments(false, volumeWords, instanceWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			id, instance := mallee.VolumeID(args[0]), mallee.InstanceID(args[1])
			a, err := call(cmd.Context(), func(ctx context.Context) (mallee.Attachment, error) {
				if device == "" {
					return attachFree(ctx, c, id, instance)
				}
				return c.AttachVolume(ctx, id, instance, device)
			})
			if err != nil {
				return failure("attach", args[0], err)
			}
			if !noWait {
				if err := t.waitVolume(cmd.Context(), c, id, "attaching", untilAttached(&a)); err != nil {
					return waited("attach", id, err)
				}
			}
			err = t.print(recordAttachment(a), func() string { return cmp.Or(a.HostDevice, string(a.State)) + "\n" })
			if err != nil {
				return err
			}
			t.hint("mallee path list --volume %s", id)
			return nil
		},
	}
	cmd.Flags().StringVar(&device, "device", "", "name of the device for the guest; the first free one from /dev/sdf on if none is given")
	complete(cmd, "device", cobra.NoFileCompletions)
	noWaitFlag(cmd, &noWait)
	return cmd
}

func (t *tool) volumeDetach() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:     "detach VOLUME",
		Short:   "Detach a volume from its node",
		Example: "  mallee volume detach vol-1a2b3c4d",
		Args:    volumeArgs(1),

		ValidArgsFunction: t.arguments(false, volumeWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			id := mallee.VolumeID(args[0])
			a, err := call(cmd.Context(), func(ctx context.Context) (mallee.Attachment, error) {
				return c.DetachVolume(ctx, id, "", "")
			})
			if err != nil {
				return failure("detach", args[0], err)
			}
			if noWait {
				return nil
			}
			return waited("detach", id, t.waitVolume(cmd.Context(), c, id, "detaching", untilDetached(a)))
		},
	}
	noWaitFlag(cmd, &noWait)
	return cmd
}
