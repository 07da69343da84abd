// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

const (
	// completionTimeout is how long a person who pressed Tab is kept waiting.
	completionTimeout = 2 * time.Second
	// maxCompletions is more than anybody reads through.
	maxCompletions = 100
)

// complete completes the values of a flag. A command that names a flag which it
// does not have is a defect that each test finds.
func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

// words is what can stand at one place: it returns pairs of a word that begins
// with prefix and what there is to say of it.
type words func(ctx context.Context, c cloud, prefix string) iter.Seq2[string, string]

// arguments completes the arguments of a command, each of its kind; the last kind
// is also that of all that follow when more is true.
func (t *tool) arguments(more bool, kinds ...words) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		i := len(args)
		if more {
			i = min(i, len(kinds)-1)
		}
		if i >= len(kinds) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.words(kinds[i])(cmd, args, prefix)
	}
}

// words completes by asking the cloud. It says nothing when that fails: a shell
// would mix what it says with what the person types.
func (t *tool) words(find words) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := t.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		var list []cobra.Completion
		for word, about := range find(ctx, c, prefix) {
			if strings.HasPrefix(word, prefix) {
				list = append(list, cobra.CompletionWithDesc(word, about))
			}
			if len(list) == maxCompletions {
				break
			}
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func volumeWords(ctx context.Context, c cloud, prefix string) iter.Seq2[string, string] {
	q := client.VolumeQuery{PageSize: maxCompletions, Filters: []client.Filter{{Name: "volume-id", Values: []string{prefix + "*"}}}}
	return func(yield func(string, string) bool) {
		for v, err := range c.EachVolume(ctx, q) {
			if err != nil || !yield(string(v.ID), strings.TrimSpace(string(v.State)+" "+v.Tags["Name"])) {
				return
			}
		}
	}
}

func instanceWords(ctx context.Context, c cloud, _ string) iter.Seq2[string, string] {
	return each(func() ([]mallee.Node, error) { return c.Nodes(ctx) },
		func(n mallee.Node) (string, string) { return string(n.InstanceID), n.Name })
}

func resourceWords(ctx context.Context, c cloud, prefix string) iter.Seq2[string, string] {
	if strings.HasPrefix(prefix, "i") {
		return instanceWords(ctx, c, prefix)
	}
	return volumeWords(ctx, c, prefix)
}

func partitionWords(ctx context.Context, c cloud, _ string) iter.Seq2[string, string] {
	return each(func() ([]mallee.Partition, error) { return c.Partitions(ctx) },
		func(p mallee.Partition) (string, string) { return p.Name, "" })
}

func propertyWords(ctx context.Context, c cloud, prefix string) iter.Seq2[string, string] {
	return each(func() ([]mallee.Property, error) { return c.Properties(ctx, prefix) },
		func(p mallee.Property) (string, string) { return p.Name, p.Description })
}

// each returns a word for each element of a list; none when it cannot be had.
func each[T any](list func() ([]T, error), word func(T) (string, string)) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		elements, _ := list()
		for _, element := range elements {
			if !yield(word(element)) {
				return
			}
		}
	}
}
