// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	maxTries   = 4
	firstPause = 200 * time.Millisecond // doubled with each try
)

// retry calls f until it succeeds, fails for good, or has been called maxTries
// times. It returns the last error of f, or that of ctx when ctx is canceled.
func retry(ctx context.Context, action string, f func() error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := f()
		if try == maxTries || !mayRetry(action, err) {
			return err
		}
		// Callers that were refused together must not come back together.
		wait := pause/2 + rand.N(pause) //nolint:gosec // a pause is no secret
		pause *= 2
		if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
			return err // why it was refused tells more than that time is up
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// mayRetry reports whether a call that failed with err is tried again. A call
// that changes something and was answered with 503 may have been carried out, and
// the second one would then be refused for what the first one did.
func mayRetry(action string, err error) bool {
	refused, ok := errors.AsType[*APIError](err)
	if !ok {
		return false
	}
	return refused.Code == "RequestLimitExceeded" ||
		refused.Status == http.StatusServiceUnavailable && strings.HasPrefix(action, "Describe")
}
