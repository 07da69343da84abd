// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) nodeList() *cobra.Command {
	l := listing[mallee.Node]{
		t: t, what: "nodes",
		header: []string{"INSTANCE", "NAME", "PARTITION", "LIVE", "SEEN", "INITIATOR"},
		row:    nodeRow,
		record: func(n mallee.Node) any { return recordNode(n) },
		each: func(ctx context.Context, c cloud, _ int) iter.Seq2[mallee.Node, error] {
			return sequence(call(ctx, c.Nodes))
		},
	}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the nodes",
		Example: "  mallee node list\n  mallee node list --watch",
		Args:    cobra.NoArgs,

		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	l.flags(cmd)
	return cmd
}

func nodeRow(n mallee.Node) []string {
	return []string{string(n.InstanceID), n.Name, n.Partition, yesNo(n.Live), timeOr(n.Seen, "unknown"), string(n.Initiator)}
}

func (t *tool) pathList() *cobra.Command {
	var only []string
	l := listing[mallee.Path]{
		t: t, what: "paths",
		header: []string{"VOLUME", "INSTANCE", "INTERFACE", "PORTAL", "STATE", "DEVICE", "REASON"},
		row: func(p mallee.Path) []string {
			return []string{string(p.VolumeID), string(p.InstanceID), p.Interface, p.Portal, string(p.State), p.BlockDev, p.Reason}
		},
		record: func(p mallee.Path) any { return recordPath(p) },
		sum:    sumPaths,
		each: func(ctx context.Context, c cloud, _ int) iter.Seq2[mallee.Path, error] {
			ids := convert(only, func(id string) mallee.VolumeID { return mallee.VolumeID(id) })
			return sequence(call(ctx, func(ctx context.Context) ([]mallee.Path, error) { return c.Paths(ctx, ids...) }))
		},
	}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the expected paths, and why one is not up",
		Long: `List every path that there should be from a node to a volume attached to it, the
state it is in, and why it is not up if it is not.`,
		Example: "  mallee path list\n  mallee path list --volume vol-1a2b3c4d --watch",
		Args: func(cmd *cobra.Command, args []string) error {
			for _, id := range only {
				if err := volumeArgs(1)(cmd, []string{id}); err != nil {
					return err
				}
			}
			return cobra.NoArgs(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	cmd.Flags().StringSliceVar(&only, "volume", nil, "only the paths to this volume; may be given more than once")
	complete(cmd, "volume", t.words(volumeWords))
	l.flags(cmd)
	return cmd
}

// sumPaths tells for each volume how many of its paths are up.
func sumPaths(list []mallee.Path) string {
	var order []mallee.VolumeID
	up, all := map[mallee.VolumeID]int{}, map[mallee.VolumeID]int{}
	for _, p := range list {
		if all[p.VolumeID] == 0 {
			order = append(order, p.VolumeID)
		}
		all[p.VolumeID]++
		if p.State == mallee.PathUp {
			up[p.VolumeID]++
		}
	}
	var b strings.Builder
	for _, id := range order {
		fmt.Fprintf(&b, "%s: %d of %d paths up\n", id, up[id], all[id])
	}
	return b.String()
}
