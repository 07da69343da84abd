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

func (t *tool) pathList() *cobra.Command {
	var only []string
	l := listing[mallee.Path]{
		t: t, what: "paths",
		header: []string{"VOLUME", "INSTANCE", "PATH", "NETDEV", "PORTAL", "STATE", "DISK", "REASON"},
		row: func(p mallee.Path) []string {
			return []string{string(p.VolumeID), string(p.InstanceID), p.Text, p.NetDevice, p.Portal, string(p.State), p.BlockDev, p.Reason}
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
state it is in, and why it is not up if it is not. PATH is the element of ncpaths that
the path comes from; one that ncpaths no longer names has none, and is draining until
others have taken its place. The last lines tell for each volume how many paths it has
and how many it still loses. Which nodes a change of ncpaths has come to, mallee path
check tells.`,
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

// sumPaths tells for each volume how many of the paths that there should be are up, and
// how many, of these or beside them, are draining or quarantined. The latter are named
// apart from others that are not up: a SAN that answers for another volume is no cut
// cable.
func sumPaths(list []mallee.Path) string {
	type count struct{ up, all, quarantined, draining int }
	var order []mallee.VolumeID
	counts := map[mallee.VolumeID]*count{}
	for _, p := range list {
		n := counts[p.VolumeID]
		if n == nil {
			n = &count{}
			order, counts[p.VolumeID] = append(order, p.VolumeID), n
		}
		if p.Expected() {
			n.all++
		}
		switch p.State {
		case mallee.PathUp:
			n.up++
		case mallee.PathQuarantined:
			n.quarantined++
		case mallee.PathDraining:
			n.draining++
		}
	}
	var b strings.Builder
	for _, id := range order {
		n := counts[id]
		fmt.Fprintf(&b, "%s: %d of %d paths up", id, n.up, n.all)
		if n.quarantined > 0 {
			fmt.Fprintf(&b, ", %d quarantined", n.quarantined)
		}
		if n.draining > 0 {
			fmt.Fprintf(&b, ", %d draining", n.draining)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
