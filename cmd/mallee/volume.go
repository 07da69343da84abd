// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) volumeCreate() *cobra.Command {
	var spec mallee.VolumeSpec
	var noWait bool
	cmd := &cobra.Command{
		Use:     "create --partition NAME --size GIB",
		Short:   "Create a volume and print its id",
		Example: "  mallee volume create --partition PARTI00 --size 10",
		Args:    cobra.NoArgs,
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
				err := t.wait(cmd.Context(), c, v.ID, "creating", func(now mallee.Volume, err error) (bool, string, error) {
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
	noWaitFlag(cmd, &noWait)
	return cmd
}

func (t *tool) volumeList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the volumes",
		Example: "  mallee volume list\n  mallee volume list --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			list, err := call(cmd.Context(), c.Volumes)
			if err != nil {
				return failure("list volumes", "", err)
			}
			return t.print(convert(list, recordVolume), func() string {
				return table([]string{"VOLUME", "PARTITION", "GIB", "STATE", "INSTANCE", "ATTACHMENT", "MESSAGE"}, convert(list, volumeRow))
			})
		},
	}
}

func volumeRow(v mallee.Volume) []string {
	var a mallee.Attachment
	if v.Attachment != nil {
		a = *v.Attachment
	}
	message := v.Message
	if message == "" {
		message = a.Message
	}
	return []string{string(v.ID), v.Partition, strconv.Itoa(v.SizeGiB), string(v.State), string(a.InstanceID), string(a.State), message}
}

func (t *tool) volumeShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show VOLUME",
		Short:   "Show all that is known of a volume",
		Example: "  mallee volume show vol-1a2b3c4d",
		Args:    volumeArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			id := mallee.VolumeID(args[0])
			v, err := call(cmd.Context(), func(ctx context.Context) (mallee.Volume, error) { return c.Volume(ctx, id) })
			if err != nil {
				return failure("show", args[0], err)
			}
			return t.print(recordVolume(v), func() string { return describeVolume(v) })
		},
	}
}

func describeVolume(v mallee.Volume) string {
	rows := [][]string{
		{"partition", v.Partition},
		{"size", fmt.Sprintf("%d GiB", v.SizeGiB)},
		{"state", string(v.State)},
		{"wwid", string(v.WWID)},
		{"created", v.Created.UTC().Format(time.RFC3339)},
		{"message", v.Message},
	}
	if a := v.Attachment; a != nil {
		rows = append(rows, [][]string{
			{"instance", string(a.InstanceID)},
			{"attachment", fmt.Sprintf("%s since %s", a.State, a.Since.UTC().Format(time.RFC3339))},
			{"device", a.Device},
			{"on the node", a.HostDevice},
			{"waits for", a.Message},
		}...)
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
	return table([]string{"volume", string(v.ID)}, rows)
}

func (t *tool) volumeDelete() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:     "delete VOLUME",
		Short:   "Delete a volume and what is on it",
		Example: "  mallee volume delete vol-1a2b3c4d",
		Args:    volumeArgs(1),
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
			return waited("delete", id, t.wait(cmd.Context(), c, id, "deleting", untilDeleted))
		},
	}
	noWaitFlag(cmd, &noWait)
	return cmd
}

// volumeArgs accepts a volume's id and then n-1 further arguments. An id of the
// wrong form is found here, before anything is sent.
func volumeArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return err
		}
		if !mallee.VolumeID(args[0]).Valid() {
			return fmt.Errorf("%q is no volume id: write vol- and 8 or 17 hexadecimal digits", args[0])
		}
		return nil
	}
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
