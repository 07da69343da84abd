// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

func (t *tool) volumeList() *cobra.Command {
	var query client.VolumeQuery
	var filters, tags []string
	l := listing[mallee.Volume]{
		t: t, what: "volumes",
		header: []string{"VOLUME", "PARTITION", "GIB", "STATE", "INSTANCE", "ATTACHMENT", "MESSAGE"},
		row:    volumeRow,
		record: func(v mallee.Volume) any { return recordVolume(v) },
		each: func(ctx context.Context, c cloud, pageSize int) iter.Seq2[mallee.Volume, error] {
			query.PageSize = pageSize
			return c.EachVolume(ctx, query)
		},
	}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the volumes",
		Long: `List the volumes. A filter is one of EC2's: status, availability-zone, size,
volume-id, attachment.instance-id, attachment.device, attachment.status, tag:KEY,
tag-key and so on. In a value * stands for any characters and ? for one. A filter
that is given twice lets both values through; of different ones all must let a
volume through.`,
		Example: `  mallee volume list
  mallee volume list --filter status=in-use --filter availability-zone=PARTI00 --watch
  mallee volume list --tag team=web --all --output json`,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if query.Filters, err = parseFilters(filters, tags); err != nil {
				return err
			}
			return cobra.NoArgs(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "NAME=VALUE: only volumes that match; may be given more than once")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "KEY[=VALUE]: only volumes with this tag; may be given more than once")
	l.flags(cmd)
	return cmd
}

// parseFilters returns the filters of --filter and --tag.
func parseFilters(filters, tags []string) ([]client.Filter, error) {
	var list []client.Filter
	add := func(name, value string) {
		i := slices.IndexFunc(list, func(f client.Filter) bool { return f.Name == name })
		if i < 0 {
			list = append(list, client.Filter{Name: name})
			i = len(list) - 1
		}
		list[i].Values = append(list[i].Values, value)
	}
	for _, filter := range filters {
		name, value, ok := strings.Cut(filter, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--filter %s: write NAME=VALUE", filter)
		}
		add(name, value)
	}
	for _, tag := range tags {
		key, value, ok := strings.Cut(tag, "=")
		switch {
		case key == "":
			return nil, fmt.Errorf("--tag %s: write KEY or KEY=VALUE", tag)
		case ok:
			add("tag:"+key, value)
		default:
			add("tag-key", key)
		}
	}
	return list, nil
}

func volumeRow(v mallee.Volume) []string {
	var a mallee.Attachment
	if v.Attachment != nil {
		a = *v.Attachment
	}
	return []string{
		string(v.ID), v.Partition, strconv.Itoa(v.SizeGiB), string(v.State), string(a.InstanceID), string(a.State), cmp.Or(v.Message, a.Message),
	}
}
