// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"

	"github.com/mallee-io/mallee"
)

// CheckPaths tells what a list of paths would mean for the machines that it is for.
func (c *Controller) CheckPaths(_ context.Context, name string, _ *string, _ bool) (mallee.PathCheck, error) {
	return mallee.PathCheck{}, refuse("check", mallee.Unavailable, name, "no machine can be asked yet")
}
