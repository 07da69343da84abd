// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"iter"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) propertyList() *cobra.Command {
	var prefixes []string
	l := listing[mallee.Property]{
		t: t, what: "properties",
		header: []string{"PROPERTY", "VALUE", "DESCRIPTION"},
		row:    func(p mallee.Property) []string { return []string{p.Name, p.Value, p.Description} },
		record: func(p mallee.Property) any { return recordProperty(p) },
		each: func(ctx context.Context, c cloud, _ int) iter.Seq2[mallee.Property, error] {
			return sequence(call(ctx, func(ctx context.Context) ([]mallee.Property, error) { return c.Properties(ctx, prefixes...) }))
		},
	}
	cmd := &cobra.Command{
		Use:     "list [PREFIX]...",
		Short:   "List properties, all or those whose names begin so",
		Example: "  mallee property list\n  mallee property list PARTI00.storage",

		ValidArgsFunction: t.arguments(true, propertyWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			prefixes = args
			return l.run(cmd.Context())
		},
	}
	l.flags(cmd)
	return cmd
}

func (t *tool) propertyGet() *cobra.Command {
	return &cobra.Command{
		Use:     "get NAME",
		Short:   "Print the value of a property",
		Example: "  mallee property get PARTI00.storage.ncpaths",
		Args:    exactly(1),

		ValidArgsFunction: t.arguments(false, propertyWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := t.properties(cmd.Context(), args)
			if err != nil {
				return err
			}
			for _, p := range list {
				if p.Name == args[0] {
					return t.print(recordProperty(p), func() string { return p.Value + "\n" })
				}
			}
			return &mallee.Error{
				Op: "get", Kind: mallee.NotFound, ID: args[0],
				Err: errors.New("there is no property of that name"), Hint: hint(mallee.NotFound, args[0]),
			}
		},
	}
}

func (t *tool) properties(ctx context.Context, prefixes []string) ([]mallee.Property, error) {
	c, err := t.connect()
	if err != nil {
		return nil, err
	}
	list, err := call(ctx, func(ctx context.Context) ([]mallee.Property, error) { return c.Properties(ctx, prefixes...) })
	if err != nil {
		return nil, failure("list properties", "", err)
	}
	return list, nil
}
