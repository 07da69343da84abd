// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) partitionList() *cobra.Command {
	l := listing[mallee.Partition]{
		t: t, what: "partitions",
		header: []string{"PARTITION", "LIVE", "SIZE", "FREE", "PROMISED", "LIMIT", "ALARMS"},
		row:    partitionRow,
		record: func(p mallee.Partition) any { return recordPartition(p) },
		each: func(ctx context.Context, c cloud, _ int) iter.Seq2[mallee.Partition, error] {
			return sequence(call(ctx, c.Partitions))
		},
	}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the partitions and how full their pools are",
		Long: `List the partitions and how full their pools are. A partition is live while its
storage controller is connected. Volumes are thin: what is promised to them may be
more than the pool has, up to the limit.`,
		Example: "  mallee partition list\n  mallee partition list --watch",
		Args:    cobra.NoArgs,

		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	l.flags(cmd)
	return cmd
}

func partitionRow(p mallee.Partition) []string {
	row := []string{p.Name, yesNo(p.Live), "", "", "", "", ""}
	if pool := p.Pool; pool != nil {
		copy(row[2:], []string{
			formatBytes(pool.SizeBytes), formatBytes(pool.FreeBytes), formatBytes(pool.PromisedBytes), formatBytes(pool.PromiseLimitBytes),
			strings.Join(pool.Alarms, "; "),
		})
	}
	return row
}

func (t *tool) partitionShow() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:     "show PARTITION",
		Short:   "Show a partition and its pool",
		Example: "  mallee partition show PARTI00",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := exactly(1)(cmd, args); err != nil {
				return err
			}
			if !mallee.ValidPartition(args[0]) {
				return partitionNameError(args[0])
			}
			return nil
		},
		ValidArgsFunction: t.arguments(false, partitionWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.connect()
			if err != nil {
				return err
			}
			return t.show(cmd.Context(), watch, func(ctx context.Context) (result, error) {
				list, err := call(ctx, c.Partitions)
				if err != nil {
					return result{}, failure("show", args[0], err)
				}
				i := slices.IndexFunc(list, func(p mallee.Partition) bool { return p.Name == args[0] })
				if i < 0 {
					return result{}, &mallee.Error{
						Op: "show", Kind: mallee.NotFound, ID: args[0],
						Err: errors.New("there is no partition of that name"), Hint: "see what is there: mallee partition list",
					}
				}
				return result{recordPartition(list[i]), func() string { return describePartition(list[i]) }}, nil
			})
		},
	}
	watchFlag(cmd, &watch)
	return cmd
}

func partitionNameError(name string) error {
	return fmt.Errorf("%q is no name of a partition: write a letter, then letters, digits, _ and -", name)
}

func describePartition(p mallee.Partition) string {
	rows := [][]string{{"live", yesNo(p.Live)}}
	if pool := p.Pool; pool != nil {
		rows = append(rows, [][]string{
			{"data", fill(pool.FreeBytes, pool.SizeBytes)},
			{"metadata", fill(pool.MetadataFreeBytes, pool.MetadataSizeBytes)},
			{"promised", fmt.Sprintf("%s of at most %s", formatBytes(pool.PromisedBytes), formatBytes(pool.PromiseLimitBytes))},
		}...)
		for _, alarm := range pool.Alarms {
			rows = append(rows, []string{"alarm", alarm})
		}
	} else {
		rows = append(rows, []string{"pool", "not known: its storage controller has not told of it"})
	}
	return table([]string{"partition", p.Name}, rows)
}

// fill tells how full something is, in hundredths rounded down: 100 % is full.
func fill(free, size uint64) string {
	used := size - min(free, size)
	return fmt.Sprintf("%s free of %s, %d %% used", formatBytes(free), formatBytes(size), int(100*float64(used)/float64(max(size, 1))))
}

// formatBytes writes a number of bytes with a tenth in the largest unit it fills,
// and no blank, so that it is one field for awk.
func formatBytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	value, i := float64(n)/1024, 0
	for value >= 1023.95 && i < len(units)-1 { // 1024.0 when rounded
		value /= 1024
		i++
	}
	return fmt.Sprintf("%.1f%ciB", value, units[i])
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// sequence makes what a call returned into the objects of a listing.
func sequence[T any](list []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err != nil {
			yield(*new(T), err)
			return
		}
		for _, object := range list {
			if !yield(object, nil) {
				return
			}
		}
	}
}
