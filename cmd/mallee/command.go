// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// command returns the tree of all commands.
func (t *tool) command() *cobra.Command {
	root := t.group("mallee", "Volumes over many paths: create, attach, watch",
		t.group("volume", "Create, attach, grow, detach and delete volumes",
			t.volumeCreate(), t.volumeList(), t.volumeShow(), t.volumeAttach(), t.volumeResize(), t.volumeDetach(), t.volumeDelete()),
		t.group("tag", "See and change the tags of volumes and nodes", t.tagList(), t.tagAdd(), t.tagRemove()),
		t.group("path", "See the paths from nodes to volumes, and what a list of paths means", t.pathList(), t.pathCheck(), t.pathInterfaces()),
		t.group("node", "See the machines that volumes are attached to", t.nodeList(), t.nodeShow(), t.nodeRemove()),
		t.group("token", "Let machines join the cloud", t.tokenCreate()),
		t.group("partition", "See the partitions and how full their pools are", t.partitionList(), t.partitionShow()),
		t.group("property", "See and change the settings of a partition",
			t.propertyList(), t.propertyGet(), t.propertySet(), t.propertyReset(),
			t.propertyDiff(), t.propertyWatch(), t.propertyHistory()),
		t.backup(), t.restore(), t.completion(), t.man(),
	)
	root.Version = version
	root.Long = `mallee works with the volumes of a cloud, the paths that lead to them, the nodes
that use them and the settings of its partitions.

` + connectionHelp + `

` + exitCodes
	root.Example = `  mallee volume create --partition PARTI00 --size 10
  mallee volume attach vol-1a2b3c4d i-0f1e2d3c
  mallee path list --volume vol-1a2b3c4d`
	root.CompletionOptions.DisableDefaultCmd = true // ours has examples
	flags := root.PersistentFlags()
	t.connection.flags(flags)
	flags.StringVarP(&t.output, "output", "o", "text", "how results are written: text, json or yaml")
	complete(root, "output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(outputs, t.output) {
			return fmt.Errorf("--output %s: choose text, json or yaml", t.output)
		}
		t.parsed = true
		return nil
	}
	return root
}

// group returns a command that only holds others.
func (t *tool) group(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]), cmd.CommandPath()}
			}
			return cmd.Help()
		},
	}
	group.AddCommand(commands...)
	return group
}
