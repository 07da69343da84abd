// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/mallee-io/mallee/internal/command"
)

// Logout ends sessions of ours, all at the same time, and returns when all have
// ended: the error of each at its place, nil for success. All their devices must
// be gone; a session that is gone itself is success.
func (in *Initiator) Logout(ctx context.Context, sessions []Session) []error {
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() { errs[i] = in.logoutOne(ctx, s) })
	}
	wg.Wait()
	return errs
}

func (in *Initiator) logoutOne(ctx context.Context, s Session) error {
	_, err := in.Run.Run(ctx, "iscsiadm", "-m", "session", "-r", strconv.Itoa(s.ID), "-u")
	switch command.ExitCode(err) {
	case codeNothingFound, codeNoSession:
		return nil
	}
	if err != nil {
		return fmt.Errorf("logout from %s: %w", s.Portal, err)
	}
	return nil
}
