// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) pathCheck() *cobra.Command {
	var sets []string
	var probe bool
	var asked []pathQuestion
	cmd := &cobra.Command{
		Use:   "check [PARTITION]",
		Short: "Show which paths each machine reaches, or would with another list",
		Long: `Show what ncpaths means on each node and scpaths on the storage controller: where each
element leads, and whether the portal there can be reached. With --set, what another
list would mean, before it is set. PARTITION may be left out when there is one only.

The evidence is a session that is there, else an answer of the portal to ARP or
neighbour discovery, else one of the router on the way, which tells nothing of what is
behind it. None of these disturbs a portal. With --probe a portal for which there is
none of them gets a TCP connection too, which is reset at once, from one machine after
the other.

A list that would be refused, or that leaves a machine with too few paths as it is, is
told of with exit code 5.`,
		Example: `  mallee path check
  mallee path check PARTI00 --set ncpaths=iface0:10.107.1.200,iface1:10.108.1.200
  mallee path check --set ncpaths=nopath --probe --output json`,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 1 {
				return countError(cmd, args)
			}
			if len(args) == 1 && !mallee.ValidPartition(args[0]) {
				return partitionNameError(args[0])
			}
			asked, err = parseQuestions(sets)
			return err
		},
		ValidArgsFunction: t.arguments(false, partitionWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.checkPaths(cmd.Context(), args, asked, probe)
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "{ncpaths|scpaths}=LIST: what LIST would mean; may be given for both")
	cmd.Flags().BoolVar(&probe, "probe", false, "send TCP connections to portals of which nothing else is known")
	complete(cmd, "set", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return []cobra.Completion{"ncpaths=", "scpaths="}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
	return cmd
}

// pathQuestion asks about a list of paths.
type pathQuestion struct {
	property string  // within the partition
	value    *string // nil for the one that is set
}

// parseQuestions returns what --set asks, and without one how both lists are.
func parseQuestions(sets []string) ([]pathQuestion, error) {
	if len(sets) == 0 {
		return []pathQuestion{{property: mallee.PropertyNCPaths}, {property: mallee.PropertySCPaths}}, nil
	}
	var list []pathQuestion
	for _, option := range sets {
		name, value, _ := strings.Cut(option, "=")
		q := pathQuestion{"storage." + name, &value}
		switch {
		case q.property != mallee.PropertyNCPaths && q.property != mallee.PropertySCPaths || name == option:
			return nil, fmt.Errorf("--set %s: write ncpaths=LIST or scpaths=LIST", option)
		case slices.ContainsFunc(list, func(p pathQuestion) bool { return p.property == q.property }):
			return nil, fmt.Errorf("--set %s is given twice", name)
		}
		list = append(list, q)
	}
	return list, nil
}

func (t *tool) checkPaths(ctx context.Context, partition []string, asked []pathQuestion, probe bool) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	if len(partition) == 0 {
		name, err := onlyPartition(ctx, c)
		if err != nil {
			return err
		}
		partition = []string{name}
	}
	var checks []mallee.PathCheck
	var bad error
	for _, q := range asked {
		name := partition[0] + "." + q.property
		check, err := during(t, "asking the machines of "+name, func() (mallee.PathCheck, error) { return c.CheckPaths(ctx, name, q.value, probe) })
		if err != nil {
			return failure("check", name, err)
		}
		checks = append(checks, check)
		if len(check.Refused) > 0 && bad == nil {
			bad = tooFewPaths(name, q.value != nil)
		}
	}
	err = t.print(convert(checks, recordCheck), func() string {
		var b strings.Builder
		for i, check := range checks {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(describeCheck(check, asked[i].value != nil))
		}
		return b.String()
	})
	if err != nil {
		return err
	}
	return bad
}

// tooFewPaths is the error of a check that found a machine with too few paths.
func tooFewPaths(name string, proposed bool) error {
	if proposed {
		return &mallee.Error{
			Op: "set", Kind: mallee.PathsUnreachable, ID: name, Err: errors.New("it would be refused"),
			Hint: "to set it all the same: mallee property set --force",
		}
	}
	return &mallee.Error{
		Op: "rely on", Kind: mallee.PathsUnreachable, ID: name, Err: errors.New("too few of its paths can be reached"),
		Hint: "see how volumes that are attached do: mallee path list",
	}
}

// onlyPartition returns the partition when there is one only.
func onlyPartition(ctx context.Context, c cloud) (string, error) {
	names, err := partitionsWithPaths(ctx, c)
	if err != nil {
		return "", failure("list partitions", "", err)
	}
	switch len(names) {
	case 0:
		return "", &mallee.Error{
			Op: "check paths", Kind: mallee.NotFound, Err: errors.New("there is no partition yet"),
			Hint: "a partition is there once its storage controller has joined: mallee token create",
		}
	case 1:
		return names[0], nil
	}
	return "", usageError{fmt.Errorf("there are several partitions, name one: %s", strings.Join(names, ", ")), "mallee path check"}
}

// partitionsWithPaths returns the partitions that have properties.
func partitionsWithPaths(ctx context.Context, c cloud) ([]string, error) {
	list, err := call(ctx, func(ctx context.Context) ([]mallee.Property, error) { return c.Properties(ctx) })
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range list {
		if name, ok := strings.CutSuffix(p.Name, "."+mallee.PropertyNCPaths); ok {
			names = append(names, name)
		}
	}
	return names, nil
}
