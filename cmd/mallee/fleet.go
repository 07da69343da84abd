// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) nodeList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the nodes",
		Example: "  mallee node list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			list, err := call(cmd.Context(), c.Nodes)
			if err != nil {
				return failure("list nodes", "", err)
			}
			return t.print(convert(list, recordNode), func() string {
				return table([]string{"INSTANCE", "NAME", "PARTITION", "LIVE", "SEEN", "INITIATOR"}, convert(list, nodeRow))
			})
		},
	}
}

func nodeRow(n mallee.Node) []string {
	live := "no"
	if n.Live {
		live = "yes"
	}
	seen := "unknown"
	if !n.Seen.IsZero() {
		seen = n.Seen.UTC().Format(time.RFC3339)
	}
	return []string{string(n.InstanceID), n.Name, n.Partition, live, seen, string(n.Initiator)}
}

func (t *tool) pathList() *cobra.Command {
	var only []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the expected paths, and why one is not up",
		Long: `List every path that there should be from a node to a volume attached to it, the
state it is in, and why it is not up if it is not.`,
		Example: "  mallee path list\n  mallee path list --volume vol-1a2b3c4d",
		Args: func(cmd *cobra.Command, args []string) error {
			for _, id := range only {
				if err := volumeArgs(1)(cmd, []string{id}); err != nil {
					return err
				}
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			ids := convert(only, func(id string) mallee.VolumeID { return mallee.VolumeID(id) })
			list, err := call(cmd.Context(), func(ctx context.Context) ([]mallee.Path, error) { return c.Paths(ctx, ids...) })
			if err != nil {
				return failure("list paths", "", err)
			}
			return t.print(convert(list, recordPath), func() string { return describePaths(list) })
		},
	}
	cmd.Flags().StringSliceVar(&only, "volume", nil, "only the paths to this volume; may be given more than once")
	return cmd
}

// describePaths returns the table of paths and, for each volume, how many are up.
func describePaths(list []mallee.Path) string {
	text := table([]string{"VOLUME", "INSTANCE", "INTERFACE", "PORTAL", "STATE", "DEVICE", "REASON"},
		convert(list, func(p mallee.Path) []string {
			return []string{string(p.VolumeID), string(p.InstanceID), p.Interface, p.Portal, string(p.State), p.BlockDev, p.Reason}
		}))
	var order []mallee.VolumeID
	up, all := map[mallee.VolumeID]int{}, map[mallee.VolumeID]int{}
	for _, p := range list {
		if !slices.Contains(order, p.VolumeID) {
			order = append(order, p.VolumeID)
		}
		all[p.VolumeID]++
		if p.State == mallee.PathUp {
			up[p.VolumeID]++
		}
	}
	for _, id := range order {
		text += fmt.Sprintf("%s: %d of %d paths up\n", id, up[id], all[id])
	}
	return text
}
