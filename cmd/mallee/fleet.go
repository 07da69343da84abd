// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"iter"

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
