// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

// maybePartition accepts the name of a partition, or nothing.
func maybePartition(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return countError(cmd, args)
	case len(args) == 1 && !mallee.ValidPartition(args[0]):
		return partitionNameError(args[0])
	}
	return nil
}

// onlyPartition returns the partition when there is one only.
func onlyPartition(ctx context.Context, c cloud) (string, error) {
	list, err := call(ctx, func(ctx context.Context) ([]mallee.Property, error) { return c.Properties(ctx) })
	if err != nil {
		return "", failure("list partitions", "", err)
	}
	var names []string
	for _, p := range list {
		if name, ok := strings.CutSuffix(p.Name, "."+mallee.PropertyNCPaths); ok {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "", &mallee.Error{
			Op: "look at paths", Kind: mallee.NotFound, Err: errors.New("there is no partition yet"),
			Hint: "a partition is there once its storage controller has joined: mallee token create",
		}
	case 1:
		return names[0], nil
	}
	return "", &mallee.Error{
		Op: "look at paths", Kind: mallee.Invalid, Err: fmt.Errorf("there are several partitions: %s", strings.Join(names, ", ")),
		Hint: "name one of them",
	}
}
