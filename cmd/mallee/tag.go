// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (t *tool) tagList() *cobra.Command {
	return &cobra.Command{
		Use:     "list ID",
		Short:   "List the tags of a volume or a node",
		Example: "  mallee tag list vol-1a2b3c4d\n  mallee tag list i-0f1e2d3c --output json",
		Args:    resourceArgs(1, 1),

		ValidArgsFunction: t.arguments(false, resourceWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			tags, err := call(cmd.Context(), func(ctx context.Context) (map[string]string, error) { return c.Tags(ctx, args[0]) })
			if err != nil {
				return failure("list the tags of", args[0], err)
			}
			if tags == nil {
				tags = map[string]string{} // {}, not null
			}
			return t.print(tags, func() string {
				var rows [][]string
				for _, key := range slices.Sorted(maps.Keys(tags)) {
					rows = append(rows, []string{key, tags[key]})
				}
				return table([]string{"KEY", "VALUE"}, rows)
			})
		},
	}
}

func (t *tool) tagAdd() *cobra.Command {
	return &cobra.Command{
		Use:     "add ID KEY=VALUE...",
		Short:   "Give a volume or a node tags",
		Long:    "Give a volume or a node tags. A tag that it has gets the new value.",
		Example: "  mallee tag add vol-1a2b3c4d Name=data team=web",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := resourceArgs(2, -1)(cmd, args); err != nil {
				return err
			}
			_, err := parseTags(args[1:])
			return err
		},
		ValidArgsFunction: t.arguments(false, resourceWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			tags, err := parseTags(args[1:])
			if err != nil {
				return err
			}
			_, err = call(cmd.Context(), func(ctx context.Context) (struct{}, error) { return struct{}{}, c.AddTags(ctx, args[0], tags) })
			if err != nil {
				return failure("tag", args[0], err)
			}
			return nil
		},
	}
}

func (t *tool) tagRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID KEY...",
		Short:   "Take tags from a volume or a node",
		Long:    "Take tags from a volume or a node. A key that it does not have is no error.",
		Example: "  mallee tag remove vol-1a2b3c4d team",
		Args:    resourceArgs(2, -1),

		ValidArgsFunction: t.arguments(false, resourceWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			_, err = call(cmd.Context(), func(ctx context.Context) (struct{}, error) {
				return struct{}{}, c.RemoveTags(ctx, args[0], args[1], args[2:]...)
			})
			if err != nil {
				return failure("take tags from", args[0], err)
			}
			return nil
		},
	}
}

// parseTags returns the tags of a list of KEY=VALUE.
func parseTags(list []string) (map[string]string, error) {
	tags := map[string]string{}
	for _, tag := range list {
		key, value, ok := strings.Cut(tag, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("tag %q: write KEY=VALUE", tag)
		}
		if _, ok := tags[key]; ok {
			return nil, fmt.Errorf("tag %s is given twice", key)
		}
		tags[key] = value
	}
	return tags, nil
}

func formatTags(tags map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, key+"="+tags[key])
	}
	return strings.Join(list, ", ")
}
