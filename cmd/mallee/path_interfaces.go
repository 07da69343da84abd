// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) pathInterfaces() *cobra.Command {
	return &cobra.Command{
		Use:   "interfaces [PARTITION]",
		Short: "Show the network devices of each machine and the labels that stand for them",
		Long: `Show the network devices of each node and of the storage controller, and the labels of
STORAGE_INTERFACES that stand for them there: what a label before the colon in ncpaths
means. PARTITION may be left out when there is one only.`,
		Example: "  mallee path interfaces\n  mallee path interfaces PARTI00 --output json",
		Args:    maybePartition,

		ValidArgsFunction: t.arguments(false, partitionWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			checks, err := t.askPaths(cmd.Context(), args, asTheyAre(), false)
			if err != nil {
				return err
			}
			var sites []mallee.Site
			for _, check := range checks {
				sites = append(sites, check.Sites...)
			}
			return t.print(convert(sites, recordSite), func() string { return describeInterfaces(sites) })
		},
	}
}

// describeInterfaces writes a row for each device, for each label of it when it has
// any, and for each label of a device that the machine has not told of: one that is
// not there, or of no use for paths.
func describeInterfaces(sites []mallee.Site) string {
	var rows [][]string
	for _, s := range sites {
		if !s.Live {
			rows = append(rows, []string{s.Name, "", "", "", "", "", "it is offline"})
		}
		labels := map[string][]mallee.InterfaceLabel{}
		for _, l := range s.Labels {
			labels[l.NetDevice] = append(labels[l.NetDevice], l)
		}
		for _, d := range s.Devices {
			row := []string{s.Name, d.Name, yesNo(d.Up), strings.Join(d.Addresses, ",")}
			if len(labels[d.Name]) == 0 {
				rows = append(rows, append(row, "", "", ""))
			}
			for _, l := range labels[d.Name] {
				rows = append(rows, append(row[:4:4], l.Label, l.Source, l.Problem))
			}
			delete(labels, d.Name)
		}
		for _, l := range s.Labels {
			if _, left := labels[l.NetDevice]; left {
				rows = append(rows, []string{s.Name, l.NetDevice, "", "", l.Label, l.Source, l.Problem})
			}
		}
	}
	return table([]string{"MACHINE", "NETDEV", "UP", "ADDRESSES", "LABEL", "SOURCE", "PROBLEM"}, rows)
}
