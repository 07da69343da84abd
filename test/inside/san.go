// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/mallee-io/mallee/test/hands"
	"github.com/mallee-io/mallee/test/target"
)

// runSAN lets the host steer the machine's target. It stays when the role ends.
func runSAN(_ context.Context, serve func(hands.Operations) error) error {
	return serve(target.Operations())
}
