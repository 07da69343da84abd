// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"testing"
	"time"
)

func TestLongestGap(t *testing.T) {
	// Milliseconds, latency, direction (0 read, 1 write), block size, offset, priority.
	const log = `12, 800000, 1, 16384, 0, 0
17, 700000, 1, 16384, 16384, 0
917, 900000, 1, 16384, 32768, 0
940, 600000, 1, 16384, 49152, 0
5000, 600000, 0, 16384, 0, 0
`
	got, err := longestGap([]byte(log))
	if err != nil || got != 900*time.Millisecond {
		t.Errorf("longest gap %v, %v; want 900ms: reads do not count", got, err)
	}
	if _, err := longestGap([]byte("soon, 1, 1, 1\n")); err == nil {
		t.Error("a line without a time was accepted")
	}
}

func TestParseOutput(t *testing.T) {
	const report = `fio: note: something
{"jobs": [{"error": 0, "total_err": 0, "read": {"io_bytes": 4096}, "write": {"io_bytes": 8192}},
          {"error": 5, "total_err": 2, "read": {"io_bytes": 1}, "write": {"io_bytes": 1}}]}`
	got, err := parseOutput([]byte(report))
	if want := (Outcome{Errors: 2, BytesWritten: 8193, BytesVerified: 4097}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if _, err := parseOutput([]byte("killed")); err == nil {
		t.Error("a report without JSON was accepted")
	}
}
