// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

// settingWords completes the arguments of mallee property set: NAME VALUE, or
// NAME=VALUE as often as one likes.
func (t *tool) settingWords(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	name, _, assigned := strings.Cut(prefix, "=")
	switch {
	case assigned:
		return t.words(valueWords(name, name+"="))(cmd, args, prefix)
	case len(args) == 0:
		return t.words(propertyWords)(cmd, args, prefix)
	case !strings.Contains(args[0], "="):
		if len(args) > 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.words(valueWords(args[0], ""))(cmd, args, prefix)
	}
	list, directive := t.words(nameWords)(cmd, args, prefix)
	return list, directive | cobra.ShellCompDirectiveNoSpace
}

// nameWords are names with the sign that a value follows.
func nameWords(ctx context.Context, c cloud, prefix string) iter.Seq2[string, string] {
	return each(func() ([]mallee.Property, error) { return c.Properties(ctx, prefix) },
		func(p mallee.Property) (string, string) { return p.Name + "=", p.Description })
}

// assignmentWords are names with the values that they have. A hidden one cannot be
// a condition.
func assignmentWords(ctx context.Context, c cloud, prefix string) iter.Seq2[string, string] {
	prefix, _, _ = strings.Cut(prefix, "=")
	return each(func() ([]mallee.Property, error) {
		list, err := c.Properties(ctx, prefix)
		return slices.DeleteFunc(list, func(p mallee.Property) bool { return p.Value == mallee.HiddenValue }), err
	}, func(p mallee.Property) (string, string) { return p.Name + "=" + p.Value, p.Description })
}

// valueWords are the values that are known for a property, each after lead: the one
// that it has, to change it a little, and the default.
func valueWords(name, lead string) words {
	return func(ctx context.Context, c cloud, _ string) iter.Seq2[string, string] {
		return func(yield func(string, string) bool) {
			list, _ := c.Properties(ctx, name)
			for _, p := range list {
				if p.Name != name || p.Value == mallee.HiddenValue {
					continue
				}
				if p.Value != "" && p.Value != p.Default && !yield(lead+p.Value, "as it is") {
					return
				}
				if p.Default != "" {
					yield(lead+p.Default, "the default")
				}
				return
			}
		}
	}
}
