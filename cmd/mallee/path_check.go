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

Refused is a list that would leave a machine that reaches enough paths now with too
few: the table says so, and the exit code is 5.`,
		Example: `  mallee path check
  mallee path check PARTI00 --set ncpaths=iface0:10.107.1.200,iface1:10.108.1.200
  mallee path check --set ncpaths=nopath --probe --output json`,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if asked, err = parseQuestions(sets); err != nil {
				return err
			}
			return maybePartition(cmd, args)
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

// asTheyAre asks about the lists that are set.
func asTheyAre() []pathQuestion {
	return []pathQuestion{{property: mallee.PropertyNCPaths}, {property: mallee.PropertySCPaths}}
}

// parseQuestions returns what --set asks.
func parseQuestions(sets []string) ([]pathQuestion, error) {
	if len(sets) == 0 {
		return asTheyAre(), nil
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

// checkPaths prints what lists of paths mean, and fails when one would be refused.
func (t *tool) checkPaths(ctx context.Context, partition []string, asked []pathQuestion, probe bool) error {
	checks, err := t.askPaths(ctx, partition, asked, probe)
	if err != nil {
		return err
	}
	err = t.print(convert(checks, recordCheck), func() string {
		texts := make([]string, len(checks))
		for i, check := range checks {
			texts[i] = describeCheck(check, asked[i].value != nil)
		}
		return strings.Join(texts, "\n")
	})
	if err != nil {
		return err
	}
	for _, check := range checks {
		if len(check.Refused) > 0 {
			return &mallee.Error{
				Op: "set", Kind: mallee.PathsUnreachable, ID: check.Name, Err: errors.New("it would be refused"),
				Hint: "to set it all the same: mallee property set --force",
			}
		}
	}
	return nil
}

// askPaths asks about lists of a partition, which may be left out when there is one only.
func (t *tool) askPaths(ctx context.Context, partition []string, asked []pathQuestion, probe bool) ([]mallee.PathCheck, error) {
	c, err := t.connect()
	if err != nil {
		return nil, err
	}
	if len(partition) == 0 {
		name, err := onlyPartition(ctx, c)
		if err != nil {
			return nil, err
		}
		partition = []string{name}
	}
	var checks []mallee.PathCheck
	for _, q := range asked {
		name := partition[0] + "." + q.property
		check, err := during(t, "asking the machines about "+name, func() (mallee.PathCheck, error) {
			return call(ctx, func(ctx context.Context) (mallee.PathCheck, error) { return c.CheckPaths(ctx, name, q.value, probe) })
		})
		if err != nil {
			return nil, failure("check", name, withoutName(err, name))
		}
		checks = append(checks, check)
	}
	return checks, nil
}
