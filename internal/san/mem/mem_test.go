// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"testing"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/mem"
	"github.com/mallee-io/mallee/internal/san/santest"
)

func TestConformance(t *testing.T) {
	santest.Run(t, func(*testing.T) san.SAN {
		return mem.New(san.Info{
			Name: "mem", Target: "iqn.2026-11.io.mallee:mem", Portals: []string{"10.107.1.200:3260"},
			PoolSizeBytes: 100 * mallee.GiB, PoolFreeBytes: 100 * mallee.GiB,
		})
	})
}
