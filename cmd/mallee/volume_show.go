// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

func (t *tool) volumeShow() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "show VOLUME",
		Short: "Show all that is known of a volume",
		Long: `Show all that is known of a volume. Its status is "ok" when all paths that there
should be are up, "impaired" when one is not, and "insufficient-data" when its node
has not told, or not the SAN of a volume that is not attached.`,
		Example: "  mallee volume show vol-1a2b3c4d\n  mallee volume show vol-1a2b3c4d --watch",
		Args:    volumeArgs(1),

		ValidArgsFunction: t.arguments(false, volumeWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			impaired := false
			err = t.show(cmd.Context(), watch, func(ctx context.Context) (result, error) {
				v, status, err := lookAt(ctx, c, mallee.VolumeID(args[0]))
				if err != nil {
					return result{}, failure("show", args[0], err)
				}
				impaired = status == client.StatusImpaired
				record := recordVolume(v)
				record.Status = status
				return result{record, func() string { return describeVolume(v, status) }}, nil
			})
			if err == nil && impaired {
				t.hint("see why: mallee path list --volume %s", args[0])
			}
			return err
		},
	}
	watchFlag(cmd, &watch)
	return cmd
}

// lookAt returns a volume with the modification that it has, and its status.
func lookAt(ctx context.Context, c cloud, id mallee.VolumeID) (mallee.Volume, client.VolumeStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := c.Volume(ctx, id)
	if err != nil {
		return v, "", err
	}
	if v.Modification, err = c.Modification(ctx, id); err != nil {
		return v, "", err
	}
	status, err := c.VolumeStatus(ctx, id)
	return v, status, err
}

func describeVolume(v mallee.Volume, status client.VolumeStatus) string {
	rows := [][]string{
		{"partition", v.Partition},
		{"size", fmt.Sprintf("%d GiB", v.SizeGiB)},
		{"state", string(v.State)},
		{"status", string(status)},
		{"wwid", string(v.WWID)},
		{"created", v.Created.UTC().Format(time.RFC3339)},
		{"message", v.Message},
		{"tags", formatTags(v.Tags)},
	}
	if m := v.Modification; m != nil {
		rows = append(rows, [][]string{
			{"growth", fmt.Sprintf("%s, from %d to %d GiB", m.State, m.OriginalGiB, m.TargetGiB)},
			{"growth waits", m.Message},
		}...)
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
