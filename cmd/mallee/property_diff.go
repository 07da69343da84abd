// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

// contrastRecord is a property, by its name within a partition, for which two
// partitions have different values.
type contrastRecord struct {
	Name   string            `json:"name"`
	Values map[string]string `json:"values"` // by partition
}

func (t *tool) propertyDiff() *cobra.Command {
	return &cobra.Command{
		Use:   "diff [PARTITION [PARTITION]]",
		Short: "Show properties that are not at their defaults, or differ between partitions",
		Long: `Show the properties that are not at their defaults, of all partitions or of one, or
those that differ between two partitions. That there are any is no failure. A hidden
value is not known here: it is taken to be the same in two partitions that have one.`,
		Example: "  mallee property diff\n  mallee property diff PARTI00 PARTI01",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 || len(args) == 2 && args[0] == args[1] {
				return countError(cmd, args)
			}
			return nil
		},
		ValidArgsFunction: t.arguments(false, partitionWords, partitionWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return t.contrast(cmd.Context(), args[0], args[1])
			}
			return t.changed(cmd.Context(), args)
		},
	}
}

// changed prints the properties of the partitions that are not at their defaults;
// no partition stands for all.
func (t *tool) changed(ctx context.Context, partitions []string) error {
	var list []mallee.Property
	var err error
	if len(partitions) == 0 {
		list, err = t.properties(ctx, nil)
	} else {
		list, err = t.propertiesOf(ctx, partitions[0])
	}
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(p mallee.Property) bool { return p.Value == p.Default })
	return t.print(convert(list, recordProperty), func() string {
		return table([]string{"PROPERTY", "VALUE", "DEFAULT"}, convert(list, func(p mallee.Property) []string { return []string{p.Name, p.Value, p.Default} }))
	})
}

// contrast prints the properties that two partitions have different values for.
func (t *tool) contrast(ctx context.Context, a, b string) error {
	values := map[string]map[string]string{} // by name within the partition, then by partition
	for _, partition := range []string{a, b} {
		list, err := t.propertiesOf(ctx, partition)
		if err != nil {
			return err
		}
		for _, p := range list {
			name := strings.TrimPrefix(p.Name, partition+".")
			if values[name] == nil {
				values[name] = map[string]string{}
			}
			values[name][partition] = p.Value
		}
	}
	list := []contrastRecord{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name][a] != values[name][b] {
			list = append(list, contrastRecord{name, values[name]})
		}
	}
	return t.print(list, func() string {
		return table([]string{"PROPERTY", a, b}, convert(list, func(c contrastRecord) []string { return []string{c.Name, c.Values[a], c.Values[b]} }))
	})
}

// propertiesOf returns the properties of a partition, which must be there.
func (t *tool) propertiesOf(ctx context.Context, partition string) ([]mallee.Property, error) {
	list, err := t.properties(ctx, []string{partition + "."})
	if err == nil && len(list) == 0 {
		err = &mallee.Error{
			Op: "compare", Kind: mallee.NotFound, ID: partition,
			Err: errors.New("there is no partition of that name"), Hint: "see what is there: mallee partition list",
		}
	}
	return list, err
}
