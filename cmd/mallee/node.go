// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func timeOr(at time.Time, otherwise string) string {
	if at.IsZero() {
		return otherwise
	}
	return at.UTC().Format(time.RFC3339)
}

func (t *tool) nodeShow() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:     "show NODE",
		Short:   "Show all that is known of a node",
		Long:    "Show all that is known of a node, which is given by its instance id or its name.",
		Example: "  mallee node show i-0f1e2d3c\n  mallee node show nc1",
		Args:    exactly(1),

		ValidArgsFunction: t.arguments(false, instanceWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			return t.show(cmd.Context(), watch, func(ctx context.Context) (result, error) {
				n, err := findNode(ctx, c, "show", args[0])
				return result{recordNode(n), func() string { return describeNode(n) }}, err
			})
		},
	}
	watchFlag(cmd, &watch)
	return cmd
}

func describeNode(n mallee.Node) string {
	return table([]string{"node", string(n.InstanceID)}, [][]string{
		{"name", n.Name},
		{"partition", n.Partition},
		{"initiator", string(n.Initiator)},
		{"live", yesNo(n.Live)},
		{"seen", timeOr(n.Seen, "unknown")},
		{"joined", timeOr(n.Joined, "")},
		{"certificate ends", timeOr(n.CertificateEnds, "")},
		{"tags", formatTags(n.Tags)},
	})
}

func (t *tool) nodeRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NODE",
		Short: "Have the cloud forget a node",
		Long: `Have the cloud forget a node, which is given by its instance id or its name. Its
certificate is no longer accepted. A node that volumes are attached to is not removed.`,
		Example: "  mallee node remove i-0f1e2d3c\n  mallee node remove nc1",
		Args:    exactly(1),

		ValidArgsFunction: t.arguments(false, instanceWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			n, err := findNode(cmd.Context(), c, "remove", args[0])
			if err != nil {
				return err
			}
			if _, err := call(cmd.Context(), func(ctx context.Context) (struct{}, error) { return struct{}{}, c.RemoveNode(ctx, n.InstanceID) }); err != nil {
				return failure("remove", args[0], err)
			}
			return t.print(recordNode(n), func() string { return string(n.InstanceID) + "\n" })
		},
	}
}

// findNode returns the node of an instance id or a name.
func findNode(ctx context.Context, c cloud, op, which string) (mallee.Node, error) {
	list, err := call(ctx, c.Nodes)
	if err != nil {
		return mallee.Node{}, failure(op, which, err)
	}
	for _, n := range list {
		if string(n.InstanceID) == which || n.Name == which {
			return n, nil
		}
	}
	return mallee.Node{}, &mallee.Error{
		Op: op, Kind: mallee.NotFound, ID: which, Err: errors.New("there is no node of that id or name"), Hint: "see what is there: mallee node list",
	}
}
