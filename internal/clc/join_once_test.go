// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"sync"
	"testing"
)

// Two machines use one token at once: one of them joins.
func TestATokenIsGoodForOneOfTwoAtOnce(t *testing.T) {
	c := newCluster(t)
	for range 5 {
		token := c.token(nodeToken("nc1"))
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() { _, errs[i] = c.join(t.TempDir(), token, initiator("nc1")) })
		}
		wg.Wait()
		joined := 0
		for _, err := range errs {
			if err == nil {
				joined++
			}
		}
		if joined != 1 {
			t.Errorf("%d machines have joined with one token: %v", joined, errs)
		}
	}
}

// The same for one initiator name.
func TestAnInitiatorNameIsGoodForOneOfTwoAtOnce(t *testing.T) {
	c := newCluster(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i, name := range []string{"nc1", "nc2", "nc3", "nc4"} {
		token := c.token(nodeToken(name))
		wg.Go(func() { _, errs[i] = c.join(t.TempDir(), token, initiator("same")) })
	}
	wg.Wait()
	joined := 0
	for _, err := range errs {
		if err == nil {
			joined++
		}
	}
	if list, err := c.Nodes(t.Context()); joined != 1 || err != nil || len(list) != 1 {
		t.Errorf("%d machines have joined with one initiator name: %v; nodes %v", joined, errs, list)
	}
}
