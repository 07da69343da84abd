// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/mallee-io/mallee/internal/telemetry"
)

func TestLinesCarryTheirRequest(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, telemetry.LogOptions{Role: "nc"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := telemetry.WithRequestID(t.Context(), "r-1")
	ctx = telemetry.With(ctx, slog.String("volume_id", "vol-1a2b3c4d"))
	log.With("path", "10.107.1.200:3260").InfoContext(ctx, "path joined")

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"role": "nc", "msg": "path joined", "request_id": "r-1", "volume_id": "vol-1a2b3c4d", "path": "10.107.1.200:3260",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %s", key, line[key], want)
		}
	}
}

func TestUnknownFormatIsNamed(t *testing.T) {
	if _, err := telemetry.NewLogger(&bytes.Buffer{}, telemetry.LogOptions{Format: "xml"}); err == nil {
		t.Error("format xml was accepted")
	}
}
