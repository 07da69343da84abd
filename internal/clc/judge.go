// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/pathcheck"
)

// A refusal names at most so many nodes, and shows so much of the table: a message
// of the API is bounded (package query).
const (
	maxRefused = 5
	maxTable   = 8 << 10
)

// judgePaths tells what a change of a partition's settings would do to the paths
// of its machines, before it is made. V is the view that the change was planned in.
// Before and after are all settings, by their names within the partition. The error, of kind PathsUnreachable, says which
// nodes would be left with too few paths; nobody is asked when nothing about paths
// changes.
func (c *Controller) judgePaths(ctx context.Context, v *view, partition string, before, after map[string]string) (warnings []string, err error) {
	if before[scPaths] != after[scPaths] {
		result, err := c.checkSet(ctx, v, partition, scPaths, before, after)
		if err != nil {
			return nil, err
		}
		warnings = result.Warnings
	}
	if before[ncPaths] == after[ncPaths] && minPathsOf(before) >= minPathsOf(after) {
		return warnings, nil
	}
	result, err := c.checkSet(ctx, v, partition, ncPaths, before, after)
	if err != nil {
		return warnings, err
	}
	warnings = append(warnings, result.Warnings...)
	if len(result.Refused) == 0 {
		return warnings, nil
	}
	few := strings.Join(result.Refused[:min(maxRefused, len(result.Refused))], "; ")
	if more := len(result.Refused) - maxRefused; more > 0 {
		few += fmt.Sprintf("; and %d more", more)
	}
	return warnings, &mallee.Error{
		Op: "set", Kind: mallee.PathsUnreachable, ID: result.Name,
		Hint: "nothing was changed: check the list and the network, or set it all the same: mallee property set --force",
		Err:  fmt.Errorf("too few paths would be left: %s\n%s", few, pathcheck.Table(result, maxTable)),
	}
}

func (c *Controller) checkSet(ctx context.Context, v *view, partition, key string, before, after map[string]string) (mallee.PathCheck, error) {
	value := after[key]
	return c.check(ctx, v, check{
		partition: partition, key: key, present: before[key], value: &value, minToday: minPathsOf(before), min: minPathsOf(after),
	})
}
