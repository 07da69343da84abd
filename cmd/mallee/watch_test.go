// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// watched runs the tool for the time, with a volume that is made in the first
// second and is available in the sixth, and a cloud that is away from the eighth
// second to the tenth. Then Ctrl-C ends it.
func watched(t *testing.T, rows int, stop time.Duration, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	c := newMemory()
	c.delay = 5 * time.Second
	ctx, cancel := context.WithTimeoutCause(t.Context(), stop, context.Canceled)
	defer cancel()
	time.AfterFunc(500*time.Millisecond, func() {
		if _, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1}); err != nil {
			t.Error(err)
		}
	})
	time.AfterFunc(7500*time.Millisecond, func() { c.fail(&client.APIError{Status: 503, Code: "Unavailable", Message: "away"}) })
	time.AfterFunc(9500*time.Millisecond, func() { c.fail(nil) })
	var out, errs bytes.Buffer
	tool := &tool{
		stdout: &out, stderr: &errs, getenv: environment, patience: defaultPatience,
		screen: func(w io.Writer) (int, int) {
			if w == &out {
				return 80 * min(rows, 1), rows
			}
			return 0, 0
		},
		dial: func(client.Config) (cloud, error) { return inMemory(c), nil },
	}
	code = tool.run(ctx, append([]string{"mallee"}, args...))
	return code, out.String(), errs.String()
}

func TestWatch(t *testing.T) {
	const away = "mallee: the cloud does not answer; waiting for it\n"
	for _, test := range []struct {
		name           string
		args           []string
		rows           int // of the terminal; 0 for none
		stop           time.Duration
		code           int
		stdout, stderr string
	}{
		{
			name: "piped", args: []string{"volume", "list", "--watch"}, stop: time.Minute,
			stdout: "2000-01-01T00:00:00Z\n" +
				"VOLUME  PARTITION  GIB  STATE  INSTANCE  ATTACHMENT  MESSAGE\n\n" +
				"2000-01-01T00:00:01Z\n" +
				"VOLUME        PARTITION  GIB  STATE     INSTANCE  ATTACHMENT  MESSAGE\n" +
				"vol-00000001  PARTI00    1    creating  -         -           -\n\n" +
				"2000-01-01T00:00:06Z\n" +
				"VOLUME        PARTITION  GIB  STATE      INSTANCE  ATTACHMENT  MESSAGE\n" +
				"vol-00000001  PARTI00    1    available  -         -           -\n\n",
			stderr: away,
		},
		{
			name: "on a terminal", args: []string{"volume", "list", "--watch"}, rows: 24, stop: 2500 * time.Millisecond,
			stdout: "\x1b[2J\x1b[HVOLUME  PARTITION  GIB  STATE  INSTANCE  ATTACHMENT  MESSAGE\n" +
				"\x1b[HVOLUME        PARTITION  GIB  STATE     INSTANCE  ATTACHMENT  MESSAGE\x1b[K\n" +
				"vol-00000001  PARTI00    1    creating  -         -           -\x1b[K\n\x1b[J",
		},
		{
			name: "on a small terminal", args: []string{"property", "list", "--watch"}, rows: 3, stop: time.Second,
			stdout: "\x1b[2J\x1b[HPROPERTY                 VALUE                    DESCRIPTION\n... 4 more lines\n",
		},
		{
			name: "yaml", args: []string{"volume", "list", "-w", "-o", "yaml"}, stop: 5 * time.Second,
			stdout: "---\n[]\n---\n- id: vol-00000001\n  partition: PARTI00\n  size_gib: 1\n  state: creating\n  created: \"2026-11-01T12:00:00Z\"\n",
		},
		{
			name: "json", args: []string{"property", "list", "PARTI00.storage.b", "-w", "-o", "json"}, stop: 5 * time.Second,
			stdout: "[\n  {\n    \"name\": \"PARTI00.storage.bare\",\n    \"value\": \"x\",\n    \"default\": \"\",\n" +
				"    \"description\": \"\",\n    \"read_only\": false\n  }\n]\n",
		},
		{
			name: "of nothing", args: []string{"volume", "show", volume, "--watch"}, stop: time.Minute, code: 4,
			stderr: "mallee: cannot show vol-00000001: The volume 'vol-00000001' does not exist. (InvalidVolume.NotFound)\n" +
				"next: see what is there: mallee volume list, mallee node list\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				code, stdout, stderr := watched(t, test.rows, test.stop, test.args...)
				if code != test.code {
					t.Errorf("exit code %d, want %d", code, test.code)
				}
				if d := cmp.Diff(test.stdout, stdout); d != "" {
					t.Errorf("stdout (-want +got):\n%s", d)
				}
				if d := cmp.Diff(test.stderr, stderr); d != "" {
					t.Errorf("stderr (-want +got):\n%s", d)
				}
			})
		})
	}
}
