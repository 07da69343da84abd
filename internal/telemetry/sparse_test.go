// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee/internal/telemetry"
)

func TestSparseLinesDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		log := telemetry.Sparse(slog.New(slog.NewTextHandler(&b, nil))).With("role", "clc")
		for range telemetry.SparseBurst + 50 {
			log.InfoContext(t.Context(), "refused")
		}
		if n := strings.Count(b.String(), "\n"); n != telemetry.SparseBurst {
			t.Errorf("%d lines were written at once, want %d", n, telemetry.SparseBurst)
		}
		b.Reset()
		time.Sleep(time.Second)
		log.InfoContext(t.Context(), "refused")
		log.InfoContext(t.Context(), "refused")
		if line := b.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, "role=clc lines_left_out=50") {
			t.Errorf("a second later there is %q, want one line that tells of 50", line)
		}
	})
}
