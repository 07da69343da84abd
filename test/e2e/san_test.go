// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"github.com/mallee-io/mallee/test/scenario"
)

// testSANHost loses each of the SAN's admin addresses in turn: volumes are made
// over the other. That the storage processor keeps the rules of a SAN is tested
// where it is, on the same kernel.
func testSANHost(t *testing.T, w *world) {
	for _, a := range scenario.AdminAddrs {
		t.Run("without "+a, func(t *testing.T) {
			ctx := patience(t, 2*time.Minute)
			must(t, w.Lab.Cut(ctx, a))
			volume := w.create(t)
			must(t, w.Lab.Heal(ctx, a))
			w.remove(t, volume)
		})
	}
}
